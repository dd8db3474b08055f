"""Two authorities, and TLS in front of a server that is reached without."""

import pathlib
import socket
import ssl
import subprocess
import threading

CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
subjectAltName = IP:127.0.0.1
extendedKeyUsage = serverAuth
"""
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr.strip()[-300:]}"


class Authorities:
    """An authority called `own`, another called `other`, and certificates signed by the first."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        for name in ("own", "other"):
            path = self.folder / name
            subject = ["-subj", f"/CN={name} authority", "-days", "30"]
            _openssl("req", "-x509", *KEY, *subject, "-keyout", f"{path}.key", "-out", f"{path}.pem")
        (self.folder / "index.txt").touch()
        (self.folder / "index.txt.attr").write_text("unique_subject = no\n")
        (self.folder / "serial").write_text("01\n")
        self.configuration = self.folder / "ca.conf"
        self.configuration.write_text(CONFIGURATION.format(folder=self.folder))

    def certificate(self, name, start, end):
        """The files of a certificate and its key, valid between two times (YYYYMMDDHHMMSSZ)."""
        leaf = self.folder / name
        request = ["-subj", "/CN=server", "-keyout", f"{leaf}.key", "-out", f"{leaf}.csr"]
        _openssl("req", "-new", *KEY, *request)
        own = ["-cert", f"{self.folder}/own.pem", "-keyfile", f"{self.folder}/own.key"]
        dates = ["-startdate", start, "-enddate", end]
        files = ["-in", f"{leaf}.csr", "-out", f"{leaf}.pem"]
        ca = ["-config", str(self.configuration), "-batch", "-notext"]
        _openssl("ca", *ca, *own, *dates, *files)
        return f"{leaf}.pem", f"{leaf}.key"


def _pump(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass  # One side is gone; the other is told below.
    for stream in (source, sink):
        stream.close()


class Terminator:
    """Shows one certificate; what comes after the handshake goes to the server behind it."""

    def __init__(self, certificate, key, behind):
        self.behind = behind
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return  # It was closed.
            try:
                stream.settimeout(5)
                stream = self.context.wrap_socket(stream, server_side=True)
                stream.settimeout(None)
                inner = socket.create_connection(self.behind)
            except OSError:
                stream.close()  # The client refused the certificate, as it should.
                continue
            for source, sink in ((stream, inner), (inner, stream)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    def close(self):
        self.listener.close()

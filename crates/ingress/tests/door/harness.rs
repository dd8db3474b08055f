//! A door with two devices, a gateway and a service, and a client that speaks bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventlog::{Batch, Log, Options, SlowFlush};
use faultsim::SimDisk;
use identity::{CredentialFacts, DeviceFacts, Door, Owner, Role, Token};
use ingress::{Config, Ingress, Limits, Parts, Tls};
use model::{
    Clock, CredentialId, DeviceId, Disk, Frame, Offset, Origin, Output, OutputFrame, OutputKey,
    Qos, Retain, SystemClock, TenantId,
};
use mqtt::packet::{Ack, Connect, FilterBuffer, Publish, Subscribe, SubscribeOptions};
use mqtt::{Packet, Properties, Reason, Version, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

pub(crate) const TENANT: TenantId = TenantId::from_u128(1);
pub(crate) const BOX: DeviceId = DeviceId::from_u128(10);
pub(crate) const GATEWAY: DeviceId = DeviceId::from_u128(11);
pub(crate) const CHILD: DeviceId = DeviceId::from_u128(12);
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A door and what it stands on.
pub(crate) struct World {
    pub(crate) log: Log,
    /// Of the urgent lane, whose flushes are slower than those of the main log.
    pub(crate) urgent: Log,
    pub(crate) door: Arc<Door>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ingress: Ingress,
    pub(crate) token: Token,
    pub(crate) service: Token,
}

/// The token of a credential.
pub(crate) fn token(number: u128) -> Token {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(&number.to_le_bytes());
    Token::from_random(secret)
}

/// A credential of a device or program.
pub(crate) fn admit(door: &Door, tenant: TenantId, number: u128, owner: Owner) -> Token {
    let token = token(number);
    let facts = CredentialFacts {
        credential: CredentialId::from_u128(number),
        owner,
        proof: identity::Proof::Token,
        secret: token.hash(),
        key: None,
        origin: Origin::Real,
        not_before: None,
        expires: None,
        revoked: None,
    };
    door.apply_credential(tenant, facts).unwrap();
    token
}

/// A device that is let in with its token.
pub(crate) fn add_device(door: &Door, tenant: TenantId, number: u128, name: &str) -> Token {
    let device = DeviceId::from_u128(number);
    let name = name.to_owned();
    let facts = DeviceFacts { device, name, origin: Origin::Real, children: Vec::new() };
    door.apply_device(tenant, facts).unwrap();
    admit(door, tenant, number, Owner::Device(device))
}

pub(crate) fn limits() -> Limits {
    Limits { sweep_interval: Duration::from_millis(20), ..Limits::default() }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(limits()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::configured(limits, Vec::new()).await
    }

    /// `origins`: of pages elsewhere that may open `/mqtt`.
    pub(crate) async fn configured(limits: Limits, origins: Vec<String>) -> Self {
        Self::build(limits, origins, None).await
    }

    /// With a second port, which speaks TLS.
    pub(crate) async fn encrypted(limits: Limits, tls: &Arc<Tls>) -> Self {
        Self::build(limits, Vec::new(), Some(Arc::clone(tls))).await
    }

    async fn build(limits: Limits, origins: Vec<String>, tls: Option<Arc<Tls>>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let door = Arc::new(Door::new(Arc::clone(&clock)));
        for (device, name, children) in
            [(BOX, "box-1", vec![]), (GATEWAY, "gw-1", vec![CHILD]), (CHILD, "probe-1", vec![])]
        {
            let facts =
                DeviceFacts { device, name: name.to_owned(), origin: Origin::Real, children };
            door.apply_device(TENANT, facts).unwrap();
        }
        let token = admit(&door, TENANT, 1, Owner::Device(BOX));
        admit(&door, TENANT, 2, Owner::Device(GATEWAY));
        let owner = Owner::Service { name: "erp".to_owned(), role: Role::Service };
        let service = admit(&door, TENANT, 3, owner);
        let log =
            Log::open(Arc::clone(&disk), Arc::clone(&clock), Path::new("/log"), Options::default())
                .unwrap();
        let slow = Arc::new(SlowFlush { disk: SimDisk::new(2), delay: Duration::from_millis(20) });
        let urgent =
            Log::open(slow, Arc::clone(&clock), Path::new("/urgent"), Options::default()).unwrap();
        let parts = Parts {
            log: log.clone(),
            urgent: Some(urgent.clone()),
            door: Arc::clone(&door),
            clock: Arc::clone(&clock),
            disk: Arc::clone(&disk),
            snapshots: "/snapshots".into(),
            tls,
        };
        let config = Config {
            mqtt: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            mqtts: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            limits,
            origins,
        };
        let ingress = Ingress::start(config, parts).await.unwrap();
        Self { log, urgent, door, disk, clock, ingress, token, service }
    }

    /// Stops the door and starts another on the same log.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|_| {}).await
    }

    /// The same; in between something is decided that no door sees happen.
    pub(crate) async fn restart_after(self, meanwhile: impl FnOnce(&Door)) -> Self {
        let Self { log, urgent, door, disk, clock, ingress, token, service } = self;
        ingress.shutdown().await;
        meanwhile(&door);
        let parts = Parts {
            log: log.clone(),
            urgent: Some(urgent.clone()),
            door: Arc::clone(&door),
            clock: Arc::clone(&clock),
            disk: Arc::clone(&disk),
            snapshots: "/snapshots".into(),
            tls: None,
        };
        let config = Config {
            mqtt: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            limits: limits(),
            ..Config::default()
        };
        let ingress = Ingress::start(config, parts).await.unwrap();
        Self { log, urgent, door, disk, clock, ingress, token, service }
    }

    /// Another door on what of the log is durable, as after the end of the process: the door
    /// before it wrote no goodbye and no snapshot.
    pub(crate) async fn killed(self, number: u32) -> Self {
        let parts = Parts {
            log: self.log.clone(),
            urgent: Some(self.urgent.clone()),
            door: Arc::clone(&self.door),
            clock: Arc::clone(&self.clock),
            disk: Arc::clone(&self.disk),
            snapshots: format!("/snapshots-{number}").into(),
            tls: None,
        };
        let config = Config {
            mqtt: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            limits: limits(),
            ..Config::default()
        };
        let ingress = Ingress::start(config, parts).await.unwrap();
        Self { ingress, ..self }
    }

    pub(crate) async fn raw(&self) -> Client {
        Client::over(TcpStream::connect(self.ingress.addresses()[0]).await.unwrap())
    }

    /// A connection from another address of this machine: 127.0.0.`last`.
    pub(crate) async fn raw_from(&self, last: u8) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        Client::over(socket.connect(self.ingress.addresses()[0]).await.unwrap())
    }

    /// The device, let in.
    pub(crate) async fn device(&self, version: Version) -> Client {
        self.client(version, &BOX.to_string(), &self.token, "c").await
    }

    /// The service, let in.
    pub(crate) async fn program(&self, version: Version) -> Client {
        self.client(version, "erp", &self.service, "s").await
    }

    pub(crate) async fn gateway(&self) -> Client {
        let token = token(2);
        self.client(Version::V5, "gw-1", &token, "g").await
    }

    pub(crate) async fn client(
        &self,
        version: Version,
        user: &str,
        token: &Token,
        id: &str,
    ) -> Client {
        let mut client = self.raw().await;
        let connect = connect(version, user, token.reveal(), id);
        client.connect(&connect).await;
        let reason = client.reason().await;
        assert_eq!(reason, Reason::Success);
        client
    }

    /// Everything in the log, once `count` frames are durable: what `pick` makes of each.
    pub(crate) async fn frames<T>(
        &self,
        count: u64,
        pick: impl Fn(&Frame<'_>) -> Option<T>,
    ) -> Vec<T> {
        let mut watch = self.log.watch();
        let wait = watch.wait_for(|c| c.0 >= count);
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
        let mut all = Vec::new();
        let mut from = Offset(1);
        loop {
            let frames = self.log.read(from, 1 << 20).unwrap();
            if frames.is_empty() {
                return all;
            }
            all.extend(frames.iter().filter_map(|r| pick(&r.unwrap().frame)));
            from = frames.next();
        }
    }

    /// What a fold would say to a device.
    pub(crate) fn output(&self, n: u32, device: DeviceId, topic: &str, retain: Retain) {
        let output = Output::Publish {
            device,
            topic: topic.to_owned(),
            retain,
            expires: None,
            payload: b"{\"interval\":60}".to_vec(),
        };
        let mut content = Vec::new();
        output.encode(&mut content);
        let key = OutputKey { fold: 1, input: Offset(1), n };
        let mut batch = Batch::default();
        batch.push(&Frame::Output(OutputFrame { tenant: TENANT, key, content: &content }));
        self.log.append(&mut batch).unwrap();
    }

    /// Waits until the router has seen everything.
    pub(crate) async fn routed(&self) {
        let done = async {
            while self.ingress.offset() < self.log.committed() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.unwrap();
    }

    pub(crate) fn refusals(&self) -> Vec<(String, String)> {
        let all = self.ingress.refusals().recent(None);
        all.iter().map(|r| (r.reason.code().to_owned(), r.detail.clone())).collect()
    }
}

pub(crate) fn connect<'a>(
    version: Version,
    user: &'a str,
    token: &'a str,
    id: &'a str,
) -> Connect<'a> {
    Connect {
        version,
        clean_start: true,
        keep_alive_s: 0,
        properties: Properties::NONE,
        client_id: id,
        will: None,
        user_name: Some(user),
        password: Some(token.as_bytes()),
    }
}

pub(crate) fn publish<'a>(topic: &'a str, qos: Qos, packet_id: u16) -> Publish<'a> {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id,
        topic_alias: 0,
        properties: Properties::NONE,
        payload: b"{\"temperature\":3.9}",
    }
}

pub(crate) fn ack(packet_id: u16) -> Ack<'static> {
    Ack { packet_id, reason: Reason::Success, properties: Properties::NONE }
}

/// Speaks MQTT by the byte.
pub(crate) struct Client {
    stream: TcpStream,
    version: Version,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, version: Version::V311, buffer: Vec::new() }
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, packets: &[Packet<'_>]) {
        let mut out = Vec::new();
        for packet in packets {
            encode(packet, self.version, &mut out);
        }
        self.bytes(&out).await;
    }

    pub(crate) async fn connect(&mut self, connect: &Connect<'_>) {
        self.version = connect.version;
        self.send(&[Packet::Connect(*connect)]).await;
    }

    /// The bytes of the next packet; empty at the end of the connection.
    pub(crate) async fn next(&mut self) -> Vec<u8> {
        loop {
            let decoded = decode(&self.buffer, self.version, 1 << 24).unwrap();
            if let Some((_, length)) = decoded {
                return self.buffer.drain(..length).collect();
            }
            let mut read = [0; 4096];
            let count = tokio::time::timeout(PATIENCE, self.stream.read(&mut read));
            let count = count.await.expect("the server said nothing").unwrap_or(0);
            if count == 0 {
                assert!(self.buffer.is_empty(), "the connection ended in a packet");
                return Vec::new();
            }
            self.buffer.extend_from_slice(&read[..count]);
        }
    }

    /// The next packet, as `pick` reads it.
    pub(crate) async fn expect<T>(&mut self, pick: impl FnOnce(Packet<'_>) -> Option<T>) -> T {
        let bytes = self.next().await;
        let (packet, _) = decode(&bytes, self.version, 1 << 24).unwrap().expect("the end");
        let text = format!("{packet:?}");
        pick(packet).unwrap_or_else(|| panic!("did not expect {text}"))
    }

    /// The reason of a CONNACK or DISCONNECT.
    pub(crate) async fn reason(&mut self) -> Reason {
        self.expect(|p| match p {
            Packet::ConnAck(ack) => Some(ack.reason),
            Packet::Disconnect(packet) => Some(packet.reason),
            _ => None,
        })
        .await
    }

    /// The packet id and reason of a PUBACK.
    pub(crate) async fn puback(&mut self) -> (u16, Reason) {
        self.expect(|p| match p {
            Packet::PubAck(ack) => Some((ack.packet_id, ack.reason)),
            _ => None,
        })
        .await
    }

    pub(crate) async fn publish(&mut self, topic: &str, packet_id: u16) {
        let qos = if packet_id == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        self.send(&[Packet::Publish(publish(topic, qos, packet_id))]).await;
    }

    /// Subscribes and gives the codes.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> Vec<u8> {
        self.subscribe_with(filter, SubscribeOptions::plain(Qos::AtLeastOnce)).await
    }

    pub(crate) async fn subscribe_with(
        &mut self,
        filter: &str,
        options: SubscribeOptions,
    ) -> Vec<u8> {
        let mut filters = FilterBuffer::default();
        filters.push(filter, options);
        let packet =
            Subscribe { packet_id: 9, properties: Properties::NONE, filters: filters.as_filters() };
        self.send(&[Packet::Subscribe(packet)]).await;
        self.expect(|p| match p {
            Packet::SubAck(ack) => Some(ack.codes.to_vec()),
            _ => None,
        })
        .await
    }

    /// Topic, payload and packet id of the next PUBLISH; a QoS 1 one is acknowledged.
    pub(crate) async fn message(&mut self) -> (String, String) {
        let (topic, payload, id) = self
            .expect(|p| match p {
                Packet::Publish(p) => Some((
                    p.topic.to_owned(),
                    String::from_utf8_lossy(p.payload).into_owned(),
                    p.packet_id,
                )),
                _ => None,
            })
            .await;
        if id != 0 {
            self.send(&[Packet::PubAck(ack(id))]).await;
        }
        (topic, payload)
    }

    /// Nothing came before the answer to a ping.
    pub(crate) async fn silent(&mut self) {
        self.send(&[Packet::PingReq]).await;
        self.expect(|p| matches!(p, Packet::PingResp).then_some(())).await;
    }

    /// One byte more; the server may have closed the connection.
    pub(crate) async fn drip(&mut self, byte: u8) {
        self.drip_all(&[byte]).await;
    }

    /// These bytes; the server may have closed the connection.
    pub(crate) async fn drip_all(&mut self, bytes: &[u8]) {
        let _closed = self.stream.write_all(bytes).await;
    }

    /// These bytes, all of them, whatever comes back in between.
    pub(crate) async fn send_all(&mut self, bytes: Vec<u8>) {
        let (mut reading, mut writing) = self.stream.split();
        let buffer = &mut self.buffer;
        let write = async { writing.write_all(&bytes).await.unwrap() };
        let read = async {
            loop {
                reading.read_buf(buffer).await.unwrap();
            }
        };
        tokio::select! {
            () = write => {}
            () = read => {}
        }
    }

    /// The two halves of its socket.
    pub(crate) fn split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.stream.into_split()
    }

    /// The end of the connection, by a goodbye or without.
    pub(crate) async fn gone(&mut self) {
        let mut sink = [0; 256];
        let read = async { while self.stream.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
        tokio::time::timeout(PATIENCE, read).await.expect("the server keeps it open");
    }

    pub(crate) async fn ended(&mut self) {
        assert_eq!(self.next().await, Vec::<u8>::new());
    }
}

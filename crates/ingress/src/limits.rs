//! Every limit of the device door, with its name and default.
//!
//! *Invariant:* reaching a limit is an answer that says the number, or visible back-pressure.
//! *Invariant:* a limit per second that is 0 is none.
//!
//! What a device sends beyond its rate is never lost: the connection is not read until the bucket
//! has refilled, and the owner is told. MQTT 5 clients are not disconnected with 0x97 for it: they
//! would come back at once, and a handshake costs more than a socket that waits.

use std::time::Duration;

use mqtt::connection::Settings;

/// Limits of the device door.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; one more is closed at once.
    pub connections_max: usize,
    /// Connections of one address that have not logged in; one more is closed at once.
    pub greeting_per_address_max: usize,
    /// Connections that have not logged in, of all addresses; one more is closed at once.
    pub greeting_max: usize,
    /// Connections of one address a second, once `connects_per_address_burst` is used up; one
    /// more is closed at once.
    pub connects_per_address_per_s_max: u64,
    /// Connections of one address that may come at once.
    pub connects_per_address_burst: u64,
    /// Failed logins of one name from one address; each further one is locked out twice as long.
    pub login_failures_max: u32,
    /// Failed logins from one address, whatever the names, the same one counted once; beyond it
    /// one in `login_failure_forgiven`. Many devices may be behind one address.
    pub login_failures_per_address_max: u64,
    /// Failed logins as one device, from addresses that it does not use; beyond it one in
    /// `login_failure_forgiven`.
    pub login_failures_per_device_max: u64,
    /// After so long one failed login of an address or a device is forgotten.
    pub login_failure_forgiven: Duration,
    /// Longest time one is locked out.
    pub login_lockout_max: Duration,
    /// Addresses and failed logins that are remembered; the oldest are forgotten first.
    pub strangers_max: usize,
    /// How long a connection may take to log in.
    pub greeting_timeout: Duration,
    /// How long one packet may take to arrive once it began.
    pub packet_timeout: Duration,
    /// Largest MQTT packet and HTTP body; a larger one is answered with 0x95 or 413.
    pub packet_bytes_max: u32,
    /// Largest CONNECT, its will included: all that a stranger can make us hold.
    pub connect_bytes_max: u32,
    /// Unanswered QoS 1 and 2 messages of an MQTT 5 client, told in CONNACK.
    pub receive_max: u16,
    /// Bytes of one connection that wait for the log; beyond it is not read.
    pub unacked_bytes_max: usize,
    /// Bytes that wait for a slow reader; beyond it QoS 0 is dropped and QoS 1 queued.
    pub outbound_bytes_max: usize,
    /// Unanswered QoS 1 and 2 messages sent to a client, whatever more it allows.
    pub in_flight_max: u16,
    /// QoS 1 and 2 messages of a session that wait for its client; one more is dropped and
    /// counted.
    pub session_queue_max: usize,
    /// Longest session expiry granted, in seconds; keep it below the log's retention.
    pub session_expiry_s_max: u32,
    /// Sessions, connected or not.
    pub sessions_max: usize,
    /// Sessions of one tenant, connected or not; one more is refused with 0x97.
    pub sessions_per_tenant_max: usize,
    /// Sessions of one device; one more ends the device's oldest session without a connection.
    pub sessions_per_device_max: usize,
    /// Connections of one device; one more is refused with 0x97.
    pub connections_per_device_max: usize,
    /// Messages of one device a second, once `device_messages_burst` is used up.
    pub device_messages_per_s_max: u64,
    /// Messages of one device that may come at once.
    pub device_messages_burst: u64,
    /// Bytes of one device a second, once `device_bytes_burst` is used up.
    pub device_bytes_per_s_max: u64,
    /// Bytes of one device that may come at once.
    pub device_bytes_burst: u64,
    /// Messages of one tenant a second; beyond it only devices that take more than their share
    /// wait.
    pub tenant_messages_per_s_max: u64,
    /// Messages of one tenant that may come at once.
    pub tenant_messages_burst: u64,
    /// Bytes of one tenant a second.
    pub tenant_bytes_per_s_max: u64,
    /// Bytes of one tenant that may come at once.
    pub tenant_bytes_burst: u64,
    /// Urgent messages of one device a second; a gateway has as many for each child. One more is
    /// refused with 0x97.
    pub urgent_per_s_max: u64,
    /// Urgent messages of one device that may come at once.
    pub urgent_burst: u64,
    /// Largest urgent message.
    pub urgent_bytes_max: usize,
    /// Topic filters of one session; one more is answered with 0x97.
    pub subscriptions_per_session_max: usize,
    /// Topic aliases a client may set.
    pub topic_alias_max: u16,
    /// Longest topic, in bytes.
    pub topic_bytes_max: usize,
    /// Longest keep alive, in seconds; a longer one, or none, is replaced by it in MQTT 5. 0
    /// accepts any.
    pub keep_alive_s_max: u16,
    /// Bytes of retained messages of one tenant; one more is delivered but not kept.
    pub retained_bytes_max: usize,
    /// How often services that ask for it are told `$SYS/broker/...`.
    pub system_interval: Duration,
    /// Retained messages of one tenant; one more is delivered but not kept.
    pub retained_messages_max: usize,
    /// Bytes that wait in the log for clients of one tenant that are away; one more message is
    /// dropped and counted.
    pub queued_bytes_per_tenant_max: u64,
    /// Refusals kept for the console.
    pub refusals_max: usize,
    /// How often time limits are looked at.
    pub sweep_interval: Duration,
    /// How long an `Idempotency-Key` is remembered.
    pub idempotency_window: Duration,
    /// `Idempotency-Key`s remembered; the oldest is forgotten first.
    pub idempotency_keys_max: usize,
    /// Longest `Idempotency-Key`, in bytes.
    pub idempotency_key_bytes_max: usize,
    /// HTTP requests that wait for the log; one more is answered with 429.
    pub http_waiting_max: usize,
    /// How long an HTTP request waits for the log before it is answered with 503.
    pub http_timeout: Duration,
    /// Log records between two snapshots of retained messages and sessions.
    pub snapshot_records: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000_000,
            greeting_per_address_max: 2_000,
            greeting_max: 20_000,
            connects_per_address_per_s_max: 500,
            connects_per_address_burst: 2_000,
            login_failures_max: 10,
            login_failures_per_address_max: 1_000,
            login_failures_per_device_max: 100,
            login_failure_forgiven: Duration::from_secs(10),
            login_lockout_max: Duration::from_secs(300),
            strangers_max: 100_000,
            // With a sweep, 10 s at most.
            greeting_timeout: Duration::from_secs(9),
            packet_timeout: Duration::from_secs(60),
            packet_bytes_max: 1024 * 1024,
            connect_bytes_max: 16 * 1024,
            receive_max: 1024,
            unacked_bytes_max: 1024 * 1024,
            outbound_bytes_max: 1024 * 1024,
            in_flight_max: 256,
            session_queue_max: 1000,
            session_expiry_s_max: 30 * 86_400,
            sessions_max: 1_000_000,
            sessions_per_tenant_max: 200_000,
            sessions_per_device_max: 16,
            connections_per_device_max: 8,
            device_messages_per_s_max: 1_000,
            device_messages_burst: 5_000,
            device_bytes_per_s_max: 1024 * 1024,
            device_bytes_burst: 16 * 1024 * 1024,
            tenant_messages_per_s_max: 100_000,
            tenant_messages_burst: 200_000,
            tenant_bytes_per_s_max: 64 * 1024 * 1024,
            tenant_bytes_burst: 128 * 1024 * 1024,
            urgent_per_s_max: 1,
            urgent_burst: 10,
            urgent_bytes_max: 512,
            subscriptions_per_session_max: 1000,
            topic_alias_max: 16,
            topic_bytes_max: 512,
            keep_alive_s_max: 0,
            retained_bytes_max: 64 * 1024 * 1024,
            system_interval: Duration::from_secs(10),
            retained_messages_max: 250_000,
            queued_bytes_per_tenant_max: 1024 * 1024 * 1024,
            refusals_max: 1000,
            sweep_interval: Duration::from_secs(1),
            idempotency_window: Duration::from_secs(24 * 3600),
            idempotency_keys_max: 1_000_000,
            idempotency_key_bytes_max: 255,
            http_waiting_max: 10_000,
            http_timeout: Duration::from_secs(30),
            snapshot_records: 1_000_000,
        }
    }
}

impl Limits {
    /// What of it the protocol needs to know.
    #[must_use]
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            receive_max: self.receive_max,
            packet_bytes_max: self.packet_bytes_max,
            topic_alias_max: self.topic_alias_max,
            topic_bytes_max: self.topic_bytes_max,
            keep_alive_s_max: self.keep_alive_s_max,
            in_flight_max: self.in_flight_max,
            queue_max: self.session_queue_max,
            session_expiry_s_max: self.session_expiry_s_max,
            ..Settings::default()
        }
    }
}

//! The tenant of a server without tokens, and the setup token of one with them.
//!
//! *Invariant:* whether a tenant is a demo is fixed when it is made: a folder made by `demo` is
//! never opened by `run`, and the other way round.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::Access;
use identity::Setup;
use model::{Clock, TenantId};
use pipeline::{Relay, Shard};
use registry::content::TenantContent;
use registry::{Author, Decision, Expect, Kind, Registry};

use super::Trust;
use super::foundation::Foundation;
use crate::exit::{self, Failure};

/// How long the first decision may take to be applied.
const APPLY_MAX: Duration = Duration::from_secs(30);

/// Who comes in without a token, and how the first owner does.
pub(crate) async fn access(
    on: &Foundation,
    trust: Trust,
) -> anyhow::Result<(Access, Option<(Setup, String)>)> {
    if trust == Trust::Tokens {
        return Ok((Access::Tokens, setup(&on.registry, &on.clock).await?));
    }
    let tenant = only(&on.registry, &on.relay, &on.shard, (&on.clock, trust)).await?;
    Ok((Access::LoopbackOwner(tenant), None))
}

/// A setup token, when there is no tenant and so no owner yet.
async fn setup(
    registry: &Registry,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<(Setup, String)>> {
    if !registry.scan(Kind::Tenant, None, 1).await.context("read the tenants")?.is_empty() {
        return Ok(None);
    }
    let (setup, token) = Setup::new(Arc::clone(clock)).context("make a setup token")?;
    Ok(Some((setup, token.reveal().to_owned())))
}

/// The one tenant of a server that asks for no token; made at the first start.
async fn only(
    registry: &Registry,
    relay: &Relay,
    shard: &Shard,
    (clock, trust): (&Arc<dyn Clock>, Trust),
) -> anyhow::Result<TenantId> {
    let demo = trust == Trust::Demo;
    let tenants = registry.scan(Kind::Tenant, None, 2).await.context("read the tenants")?;
    if let Some(row) = tenants.first() {
        let content: TenantContent = row.content().context("read the tenant")?;
        if content.demo != demo {
            let (this, other) = if demo { ("run", "demo") } else { ("demo", "run") };
            return Err(Failure::new(
                exit::CONFLICT,
                format!("this folder was made by `iotbiz {this}`, and not by `iotbiz {other}`"),
            )
            .why("a demo counts simulated readings, for ever; real money must not")
            .fix("name another folder: --data DIR")
            .into());
        }
        return Ok(row.tenant);
    }
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).context("the system gives no randomness")?;
    let tenant = TenantId::new(clock.now(), u128::from_le_bytes(random));
    let name = if demo { "demo" } else { "main" }.to_owned();
    let content = serde_json::to_value(TenantContent { name, demo })?;
    let id = tenant.to_string();
    let decision = Decision::put(tenant, Kind::Tenant, &id, &content).expecting(Expect::New);
    let written =
        registry.put(&decision, &Author::new("loopback")).await.context("write the tenant")?;
    let offset = relay.durable(written.seq, APPLY_MAX).await.context("log the tenant")?;
    shard.applied(offset, APPLY_MAX).await.context("apply the tenant")?;
    Ok(tenant)
}

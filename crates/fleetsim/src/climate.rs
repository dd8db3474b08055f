//! The weather around a device: day, season and spells of some days.
//!
//! *Invariant:* all devices of a fleet share one weather, because they share one region.
//!
//! Figures are those of a temperate lowland such as Berlin: a yearly mean near 10 °C, about 19 °C
//! in July and 1 °C in January (1991 to 2020 normals, Deutscher Wetterdienst).

use std::f64::consts::TAU;

use libm::{atan, cos, sin, sqrt};

use crate::noise::Seed;

const DAY_S: f64 = 86_400.0;
const YEAR_S: f64 = 365.25 * DAY_S;
/// The latitude of Berlin; its longitude only decides when noon is.
const LATITUDE_DEG: f64 = 52.5;
const LONGITUDE_DEG: f64 = 13.4;

/// The weather of a fleet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Climate {
    seed: Seed,
}

impl Climate {
    /// The weather that belongs to a fleet's seed.
    #[must_use]
    pub(crate) fn new(fleet: Seed) -> Self {
        Self { seed: fleet.named("weather") }
    }

    /// Air temperature in °C as something with this thermal time constant feels it; 0 is the air.
    ///
    /// A first-order body follows a wave of angular frequency w weaker by 1/sqrt(1 + (w tau)^2)
    /// and later by atan(w tau)/w, so no history has to be simulated.
    #[must_use]
    pub(crate) fn temperature(&self, at_ms: i64, tau_s: f64) -> f64 {
        let at_s = at_ms as f64 / 1000.0;
        let wave = |mean_to_peak: f64, period_s: f64, peak_s: f64| {
            let w = TAU / period_s;
            let gain = 1.0 / sqrt(1.0 + (w * tau_s) * (w * tau_s));
            mean_to_peak * gain * cos(w * (at_s - peak_s) - atan(w * tau_s))
        };
        // Warmest on day 200 of the year and at three in the afternoon, local solar time.
        let season = wave(9.3, YEAR_S, 200.0 * DAY_S);
        let day = wave(4.5, DAY_S, 15.0 * 3600.0 - solar_shift_s());
        let spell =
            3.5 * self.seed.wander(at_ms - crate::noise::whole(tau_s * 1000.0), 3.0 * DAY_S);
        10.0 + season + day + spell
    }

    /// Light outside in lux; overcast on some days.
    #[must_use]
    pub(crate) fn daylight_lux(&self, at_ms: i64) -> f64 {
        let day_of_year = (at_ms as f64 / 1000.0 / DAY_S) % 365.25;
        // Declination of the sun, Cooper 1969, good to about a degree.
        let declination = -(23.44_f64.to_radians()) * cos(TAU * (day_of_year + 10.0) / 365.25);
        let hour_angle = (solar_hour(at_ms) - 12.0) / 24.0 * TAU;
        let latitude = LATITUDE_DEG.to_radians();
        let height =
            sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hour_angle);
        let clouds = 0.55 + 0.4 * self.seed.named("clouds").wander(at_ms, 5.0 * 3600.0);
        100_000.0 * height.max(0.0) * clouds
    }

    /// Air pressure in hPa.
    #[must_use]
    pub(crate) fn pressure_hpa(&self, at_ms: i64) -> f64 {
        1013.0 + 16.0 * self.seed.named("pressure").wander(at_ms, 2.0 * DAY_S)
    }
}

fn solar_shift_s() -> f64 {
    LONGITUDE_DEG / 360.0 * DAY_S
}

/// Local solar time, 0 to 24: when people work and sleep, without a table of time zones.
#[must_use]
pub(crate) fn solar_hour(at_ms: i64) -> f64 {
    let day_ms = 86_400_000;
    let shifted = at_ms + crate::noise::whole(solar_shift_s() * 1000.0);
    shifted.rem_euclid(day_ms) as f64 / 3_600_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    /// 2026-01-15T00:00:00Z and 2026-07-15T00:00:00Z.
    const JANUARY: i64 = 1_768_435_200_000;
    const JULY: i64 = 1_784_073_600_000;

    fn mean_of_month(middle: i64, tau_s: f64) -> f64 {
        let climate = Climate::new(Seed::new(1));
        let hours = -360..360;
        let sum: f64 = hours.map(|hour| climate.temperature(middle + hour * HOUR_MS, tau_s)).sum();
        sum / 720.0
    }

    #[test]
    fn july_is_warm_and_january_is_cold() {
        let (january, july) = (mean_of_month(JANUARY, 0.0), mean_of_month(JULY, 0.0));
        assert!((-3.0..5.0).contains(&january), "{january}");
        assert!((15.0..23.0).contains(&july), "{july}");
    }

    #[test]
    fn a_slow_body_sees_a_smaller_and_later_day() {
        let climate = Climate::new(Seed::new(1));
        let peak = |tau_s: f64| {
            let hourly: Vec<f64> =
                (0..24).map(|hour| climate.temperature(JULY + hour * HOUR_MS, tau_s)).collect();
            let high = hourly.iter().copied().fold(f64::MIN, f64::max);
            let low = hourly.iter().copied().fold(f64::MAX, f64::min);
            (high - low, hourly.iter().position(|value| *value >= high).unwrap())
        };
        let (air, slow) = (peak(0.0), peak(4.0 * 3600.0));
        assert!(slow.0 < air.0 && slow.1 > air.1, "{air:?} {slow:?}");
    }

    #[test]
    fn midnight_is_dark_and_noon_is_not() {
        let climate = Climate::new(Seed::new(1));
        assert_eq!(climate.daylight_lux(JANUARY + 23 * HOUR_MS), 0.0);
        assert!(climate.daylight_lux(JULY + 11 * HOUR_MS) > 5_000.0);
    }
}

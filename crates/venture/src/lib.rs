//! venture

//! bizcase

//! Facts of certificates, one file a subject.

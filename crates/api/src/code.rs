//! Stable codes of problems, with what they mean and what to do.
//!
//! *Invariant:* a code is never reused for another situation; `iotbiz explain CODE` prints this
//! table.

/// One situation that a caller can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The stable code.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// A short title.
    pub title: &'static str,
    /// What it means and what to do.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal $status:literal $title:literal $explanation:literal;)*) => {
        $(pub(crate) const $name: Code = Code {
            code: $code,
            status: $status,
            title: $title,
            explanation: $explanation,
        };)*

        /// Every code of the API.
        pub const CODES: &[Code] = &[$($name),*];
    };
}

codes! {
    UNAUTHENTICATED = "E0101" 401 "not signed in"
        "The request carries no token, or one that is not accepted. Send `Authorization: Bearer \
         TOKEN`, or sign in on the console. The owner sees the exact reason under refusals.";
    FORBIDDEN = "E0102" 403 "not allowed"
        "The token is accepted, but its role may not do this. The detail names the roles that may.";
    WRONG_HOST = "E0103" 403 "wrong host or origin"
        "A loopback console answers only to its own address, so that a web page elsewhere cannot \
         reach it through your browser. Open the address that the program printed.";
    SETUP_REFUSED = "E0104" 401 "setup token refused"
        "The one-time setup token is wrong, used or expired. Restart the program to get another.";
    NOT_FOUND = "E0201" 404 "not found"
        "There is no such thing in your tenant. Check the id or name; `iotbiz device ls` lists \
         devices.";
    CONFLICT = "E0202" 409 "conflict"
        "Somebody else changed it first, or the name is taken. Read it again and repeat your change.";
    GONE = "E0205" 410 "gone"
        "It was used before, or its time is over. Begin again: a device asks for a certificate with its \
         claim token.";
    REFUSED = "E0206" 409 "refused"
        "A setting or command would leave its safe envelope: its rate, dwell or interlock in the \
         blueprint, or the number of open commands of a device. The detail says the number, and \
         when there is room again.";
    STALE = "E0203" 412 "precondition failed"
        "`If-Match` names another revision than the one in force. Read it again and repeat your \
         change.";
    INVALID = "E0301" 422 "invalid"
        "The body or a parameter is wrong; `errors` names each place and reason.";
    NOT_JSON = "E0302" 400 "not JSON"
        "The body is not the JSON that this route expects; the detail names the place.";
    WRONG_METHOD = "E0204" 405 "method not allowed"
        "The route exists, but not for this method. `/api/openapi.json` lists what there is.";
    BAD_FILTER = "E0303" 422 "filter not understood"
        "The filter language: `kind:box status:silent fw:<2.4.1 temperature:>8 -tag:lab \"two \
         words\"`.";
    BREAKING = "E0304" 409 "breaking change refused"
        "The new blueprint changes the type or unit of a property, or removes one, while devices \
         still send it. Add a new property instead, or pin the old devices first.";
    BLUEPRINT_ERRORS = "E0305" 422 "blueprint has errors"
        "`diagnostics` lists each with place, reason and fix; `iotbiz check` prints them.";
    TOO_LARGE = "E0401" 413 "too large"
        "A named limit was reached; the detail says which.";
    TOO_MANY = "E0402" 429 "too many requests"
        "A limit for a time was reached: the detail names it, and the fix says when there is room \
         again.";
    UNAVAILABLE = "E0501" 503 "not available now"
        "The server is starting or stopping, its disk is full or its folds are behind. Nothing was \
         lost; try again. `/readyz` says why.";
    INTERNAL = "E0901" 500 "internal error"
        "A mistake of the program or damaged data. The log line with the same trace id has the \
         cause.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = CODES.iter().map(|code| code.code).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}

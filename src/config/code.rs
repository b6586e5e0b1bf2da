//! The codes of every diagnostic about a configuration: stable, in words.

/// Declares the codes once, as constants and as a list.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $code;)+
        /// Every code there is.
        pub const ALL: &[&str] = &[$($code),+];
    };
}

codes! {
    /// A file of another kind, or in UTF-16.
    NOT_TEXT = "not-text";
    /// Neither an entry nor an `include` (PARSE-20).
    STRAY_LINE = "stray-line";
    /// `service` alone (PARSE-21).
    MISSING_NAME = "missing-name";
    /// `include` or `includedir` alone.
    MISSING_PATH = "missing-path";
    /// A header without its `{` (PARSE-7).
    MISSING_OPEN = "missing-open-brace";
    /// A `{` or `}` that shares its line (PARSE-7, PARSE-8).
    BRACE_NOT_ALONE = "brace-not-alone";
    /// A header where a `}` should be (PARSE-22).
    MISSING_CLOSE = "missing-close-brace";
    /// The file ends inside an entry (PARSE-23).
    END_OF_FILE = "end-of-file";
    /// A line that is no attribute line (PARSE-10, PARSE-11).
    MALFORMED_LINE = "malformed-line";
    /// `include` inside an entry (INC-7).
    INCLUDE_INSIDE = "include-inside-entry";
    /// A file or directory that cannot be read (INC-1, INC-4).
    UNREADABLE = "unreadable-include";
    /// A file that includes itself (INC-6).
    INCLUDE_CYCLE = "include-cycle";
    /// More files, or files inside files, than any configuration needs.
    INCLUDE_LIMIT = "include-limit";
    /// More mistakes than anybody reads.
    TOO_MANY = "too-many-mistakes";
    /// `defaults` or `include` in an overlay.
    NOT_IN_OVERLAY = "not-in-overlay";
    /// A second `defaults` in one file (DEF-1).
    SECOND_DEFAULTS = "second-defaults";
    /// `-inetd_compat`, and no file (CLI-14).
    NO_INETD_CONF = "no-inetd-conf";
    /// A line of inetd.conf without all its fields (INETD-7).
    SHORT_LINE = "short-line";
    /// `nowait.N` in inetd.conf (INETD-2).
    NOWAIT_LIMIT = "nowait-limit";
    /// A name that no attribute has (PARSE-12).
    UNKNOWN_ATTRIBUTE = "unknown-attribute";
    /// An attribute that `defaults` may not have (DEF-3).
    NOT_IN_DEFAULTS = "not-in-defaults";
    /// An attribute that only `defaults` may have (ATTR-38).
    ONLY_IN_DEFAULTS = "only-in-defaults";
    /// Set a second time (PARSE-15, DEF-9).
    REPEATED_ATTRIBUTE = "repeated-attribute";
    /// `+=` or `-=` where it means nothing (PARSE-16, ATTR-43).
    WRONG_OPERATOR = "wrong-operator";
    /// Too many or too few values (PARSE-13, PARSE-14, ATTR-39).
    WRONG_COUNT = "wrong-count";
    /// A comment behind a value: it is read as more values (PARSE-3, PARSE-13).
    COMMENT_AS_VALUE = "comment-as-value";
    /// A word that is none of those allowed.
    UNKNOWN_WORD = "unknown-word";
    /// Not a number, or out of range (NUM-1).
    BAD_NUMBER = "bad-number";
    /// An interval of `access_times` that is none (TIME-1).
    BAD_INTERVAL = "bad-interval";
    /// A load that reads otherwise than it looks, or refuses everybody (LIM-4).
    SURPRISING_LOAD = "surprising-load";
    /// Hard limit below the soft one (ATTR-51).
    LIMITS_REVERSED = "limits-reversed";
    /// A word of `env` without `=` (ATTR-43).
    BAD_VARIABLE = "bad-variable";
    /// A variable the daemon does not have (ATTR-44).
    UNKNOWN_VARIABLE = "unknown-variable";
    /// No such user (ATTR-4).
    UNKNOWN_USER = "unknown-user";
    /// No such group (ATTR-5).
    UNKNOWN_GROUP = "unknown-group";
    /// No such protocol (ATTR-2).
    UNKNOWN_PROTOCOL = "unknown-protocol";
    /// A `bind` that is no address and no host (ATTR-26).
    UNKNOWN_HOST = "unknown-host";
    /// A `unix:PATH` whose path is none.
    BAD_SOCKET_PATH = "bad-socket-path";
    /// A `server` that cannot be run (ATTR-48).
    NOT_EXECUTABLE = "not-executable";
    /// `log_on_failure = RECORD` (ATTR-40).
    HISTORIC_WORD = "historic-word";
    /// An address that is wrongly written (ADDR-6, ADDR-8, ADDR-18).
    BAD_ADDRESS = "bad-address";
    /// A name where an address is expected (ADDR-17).
    NOT_AN_ADDRESS = "not-an-address";
    /// An address that reads otherwise than it looks (ADDR-4).
    SURPRISING_ADDRESS = "surprising-address";
    /// Accepted, but without effect.
    NO_EFFECT = "no-effect";
    /// A kind of service that this version does not have.
    NOT_SUPPORTED = "not-supported";
    /// CHK-2, CHK-3.
    MISSING_ATTRIBUTE = "missing-attribute";
    /// A name that services(5) does not have (PORT-1).
    UNKNOWN_SERVICE = "unknown-service";
    /// A port other than that of services(5) (PORT-2).
    OTHER_PORT = "other-port";
    /// A `bind` of one family with a flag for the other (BIND-4).
    CONTRADICTION = "contradiction";
    /// An option that needs another one (CHK-10, CHK-13).
    NEEDS_ANOTHER = "needs-another";
    /// An internal service that does not exist (CHK-7, INETD-5).
    UNKNOWN_INTERNAL = "unknown-internal-service";
    /// `flags = LABELED` (CHK-12).
    LABELED = "labeled";
    /// Two services on one socket (CHK-4, CHK-6).
    DUPLICATE = "duplicate-socket";
    /// Two services for one version of an RPC program (RPC-2).
    DUPLICATE_PROGRAM = "duplicate-program";
    /// All addresses, and one of them (CHK-4).
    OVERLAP = "overlapping-sockets";
    /// An id in `enabled` or `disabled` that no service has.
    UNKNOWN_ID = "unknown-id";
}

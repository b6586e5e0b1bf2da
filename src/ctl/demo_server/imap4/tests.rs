//! Sessions, line by line, without a socket.

use proptest::prelude::*;

use super::*;

fn say(session: &mut Imap4, line: &str) -> String {
    String::from_utf8(session.line(line.as_bytes()).bytes).unwrap()
}

fn logged_in() -> Imap4 {
    let mut session = Imap4::new();
    assert!(say(&mut session, "a LOGIN demo \"demo\"").starts_with("a OK"));
    session
}

fn selected() -> Imap4 {
    let mut session = logged_in();
    assert!(
        say(&mut session, "b SELECT inbox").ends_with("b OK [READ-WRITE] INBOX is selected\r\n")
    );
    session
}

#[test]
fn the_greeting_says_that_this_is_a_demo() {
    let greeting = String::from_utf8(Imap4::new().greeting()).unwrap();
    assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 ") && greeting.contains("demo"));
}

#[test]
fn a_wrong_password_is_refused() {
    let mut session = Imap4::new();
    assert!(say(&mut session, "a LOGIN demo wrong").starts_with("a NO [AUTHENTICATIONFAILED]"));
    assert!(say(&mut session, "a SELECT INBOX").starts_with("a BAD not now"));
    assert!(say(&mut session, "a AUTHENTICATE CRAM-MD5").starts_with("a NO"));
}

#[test]
fn authenticate_plain_works_with_and_without_initial_response() {
    let mut session = Imap4::new();
    assert!(say(&mut session, "a AUTHENTICATE PLAIN AGRlbW8AZGVtbw==").starts_with("a OK"));
    let mut session = Imap4::new();
    assert_eq!(say(&mut session, "a authenticate plain"), "+ \r\n");
    assert!(say(&mut session, "ZGVtbwBkZW1vAGRlbW8=").starts_with("a OK"));
    let mut session = Imap4::new();
    say(&mut session, "a AUTHENTICATE PLAIN");
    assert!(say(&mut session, "*").starts_with("a BAD"));
    assert!(say(&mut session, "b NOOP").starts_with("b OK"));
}

#[test]
fn a_login_may_come_in_literals() {
    let mut session = Imap4::new();
    let answer = session.line(b"a LOGIN {4}");
    assert_eq!((answer.bytes.as_slice(), answer.next), (&b"+ go ahead\r\n"[..], Next::Literal(4)));
    session.literal(b"demo");
    let answer = session.line(b" {4+}");
    assert_eq!((answer.bytes.as_slice(), answer.next), (&b""[..], Next::Literal(4)));
    session.literal(b"demo");
    assert!(say(&mut session, "").starts_with("a OK"));
}

#[test]
fn a_literal_that_is_too_large_is_refused_before_it_comes() {
    let mut session = logged_in();
    assert!(
        say(&mut session, "a APPEND INBOX {99999999999999999999999}")
            .starts_with("a BAD the demo takes no literal")
    );
    assert!(say(&mut session, "b NOOP").starts_with("b OK"));
    let answer = session.line(b"c APPEND INBOX {99999+}");
    assert_eq!(answer.next, Next::Close);
    assert!(answer.bytes.starts_with(b"* BYE"));
}

#[test]
fn many_small_pieces_do_not_make_an_endless_command() {
    let mut session = Imap4::new();
    let line = [vec![b'x'; 8000], b"{0+}".to_vec()].concat();
    let ends = (0..4).map(|_| session.line(&line).next).find(|next| *next == Next::Close);
    assert!(ends.is_some());
}

#[test]
fn select_tells_what_is_there() {
    let text = say(&mut logged_in(), "b SELECT INBOX");
    assert!(text.contains("* 3 EXISTS\r\n") && text.contains("* OK [UNSEEN 1]"));
    assert!(text.contains("* OK [UIDVALIDITY 20260105]"));
    assert!(say(&mut logged_in(), "b SELECT Trash").starts_with("b NO"));
    assert_eq!(
        say(&mut logged_in(), "b STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"),
        "* STATUS INBOX (MESSAGES 3 UNSEEN 3 UIDNEXT 4)\r\nb OK that is it\r\n"
    );
}

#[test]
fn list_finds_the_inbox_by_pattern() {
    let mut session = logged_in();
    for pattern in ["*", "%", "INBOX", "in*", "*box", "I%B*X"] {
        let text = say(&mut session, &format!("b LIST \"\" {pattern}"));
        assert!(text.starts_with("* LIST () \"/\" INBOX\r\n"), "{pattern}");
    }
    for pattern in ["INBOX/%", "Drafts", "INBOXX*", "*Y*"] {
        assert!(
            say(&mut session, &format!("b LIST \"\" {pattern}")).starts_with("b OK"),
            "{pattern}"
        );
    }
    assert!(say(&mut session, "b LIST \"\" \"\"").contains("\\Noselect"));
    assert!(say(&mut session, "b LSUB \"\" \"*\"").starts_with("* LSUB"));
}

#[test]
fn reading_marks_as_seen_for_the_session_but_not_in_examine() {
    let mut session = selected();
    assert!(say(&mut session, "c FETCH 1 BODY.PEEK[TEXT]").contains("Hello"));
    assert!(say(&mut session, "c SEARCH SEEN").starts_with("* SEARCH\r\n"));
    assert!(say(&mut session, "c UID FETCH 1 (BODY[TEXT])").contains(" FLAGS (\\Seen))"));
    assert!(say(&mut session, "c UID SEARCH SEEN").starts_with("* SEARCH 1\r\n"));
    assert!(say(&mut session, "c EXAMINE INBOX").contains("[UNSEEN 2]"));
    say(&mut session, "c FETCH 2 BODY[]");
    assert!(say(&mut session, "c SEARCH UNSEEN").starts_with("* SEARCH 2 3\r\n"));
    assert!(say(&mut session, "c STORE 1 FLAGS (\\Seen)").starts_with("c NO [READ-ONLY]"));
}

#[test]
fn store_changes_flags_for_the_session() {
    let mut session = selected();
    assert_eq!(
        say(&mut session, "c UID STORE 2:3 +FLAGS (\\Deleted Junk)"),
        "* 2 FETCH (UID 2 FLAGS (\\Deleted))\r\n* 3 FETCH (UID 3 FLAGS (\\Deleted))\r\n\
         c OK stored, for this session only\r\n"
    );
    assert!(say(&mut session, "c STORE 2 -FLAGS.SILENT \\Deleted").starts_with("c OK"));
    assert!(say(&mut session, "c SEARCH DELETED").starts_with("* SEARCH 3\r\n"));
    assert!(say(&mut session, "c EXPUNGE").starts_with("c OK"));
    assert!(say(&mut session, "c CLOSE").starts_with("c OK"));
    assert!(say(&mut session, "c SELECT INBOX").contains("* 3 EXISTS"));
}

#[test]
fn a_number_that_is_not_there_is_bad_and_an_identifier_is_not() {
    let mut session = selected();
    assert!(say(&mut session, "c FETCH 9 FLAGS").starts_with("c BAD"));
    assert!(say(&mut session, "c UID FETCH 9 FLAGS").starts_with("c OK"));
}

#[test]
fn idle_waits_for_done() {
    let mut session = selected();
    assert!(say(&mut session, "c IDLE").starts_with("+ "));
    assert!(say(&mut session, "done").starts_with("c OK"));
}

#[test]
fn what_would_change_the_mailbox_is_refused() {
    let mut session = selected();
    for line in ["CREATE x", "DELETE x", "COPY 1 x", "UID MOVE 1 x", "SUBSCRIBE x"] {
        assert!(say(&mut session, &format!("c {line}")).starts_with("c NO [CANNOT]"), "{line}");
    }
}

#[test]
fn logout_says_goodbye() {
    let answer = Imap4::new().line(b"z logout");
    assert_eq!(answer.next, Next::Close);
    assert!(answer.bytes.starts_with(b"* BYE") && answer.bytes.ends_with(b"z OK goodbye\r\n"));
}

#[test]
fn nonsense_is_answered_with_bad() {
    for line in ["", " ", "a", "a ", "+ NOOP", "a NOOP x", "a FROB", "\u{e9} NOOP", "a LOGIN x"] {
        let text = say(&mut Imap4::new(), line);
        assert!(text.contains("BAD"), "{line:?}: {text}");
    }
}

/// Lines made of the words that clients use, in any order.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "FETCH",
        "UID",
        "SEARCH",
        "STORE",
        "SELECT",
        "EXAMINE",
        "INBOX",
        "LIST",
        "\"\"",
        "*",
        "%",
        "1:*",
        "2,3",
        "0",
        "(",
        ")",
        "BODY[",
        "BODY.PEEK[]",
        "]",
        "HEADER.FIELDS",
        "(SUBJECT)",
        "<0.9>",
        "ENVELOPE",
        "BODYSTRUCTURE",
        "+FLAGS",
        "\\Seen",
        "NOT",
        "OR",
        "ALL",
        "\"x",
        "{3}",
        "{3+}",
        "{0}",
        "LOGIN",
        "AUTHENTICATE",
        "PLAIN",
        "IDLE",
        "DONE",
        "STATUS",
        "SINCE",
        "1-Jan-2026",
        "FLAGS",
        "CLOSE",
        "1.2.MIME",
    ]);
    (prop::collection::vec(word, 0..8), prop::sample::select(vec![" ", ""]))
        .prop_map(|(words, between)| format!("t {}", words.join(between)).into_bytes())
}

proptest! {
    #[test]
    fn any_conversation_gets_whole_answers(
        lines in prop::collection::vec(
            prop_oneof![prop::collection::vec(any::<u8>(), 0..60), plausible(), plausible()],
            1..20,
        )
    ) {
        for mut session in [Imap4::new(), logged_in(), selected()] {
            for line in &lines {
                let answer = session.line(line);
                prop_assert!(answer.bytes.is_empty() || answer.bytes.ends_with(b"\r\n"));
                if let Next::Literal(length) = answer.next {
                    prop_assert!(length <= COMMAND_LIMIT);
                    session.literal(&vec![b'x'; length]);
                }
            }
        }
    }
}

//! The binary, given bad input: each case ends with one clear line and the right code.

#[cfg(test)]
mod bad_input {
    use std::net::TcpListener;
    use std::process::{Command, Output};

    fn observer(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tcp-observer"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Runs it, and checks the exit code and that standard error says `words`; gives that text.
    fn refused(arguments: &[&str], code: i32, words: &[&str]) -> String {
        let output = observer(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(
            output.stdout.is_empty(),
            "{arguments:?} wrote to standard output"
        );
        for word in words {
            assert!(
                text.contains(word),
                "{arguments:?} names {word:?} in:\n{text}"
            );
        }
        assert!(!text.contains("panicked"), "{text}");
        text
    }

    #[test]
    fn wrong_command_lines_end_with_2_and_name_what_is_wrong() {
        refused(&["run", "--no-such-flag"], 2, &["--no-such-flag"]);
        refused(&["frobnicate"], 2, &["frobnicate"]);
        let example = "127.0.0.1:10793";
        refused(
            &["run", "--web.listen-address", "localhost"],
            2,
            &["localhost", example],
        );
        refused(
            &["run", "--web.listen-address=1.2.3.4:99999"],
            2,
            &["1.2.3.4:99999"],
        );
        refused(&["run", "--web.telemetry-path", "/status"], 2, &["/status"]);
        refused(&["run", "--backend", "magic"], 2, &["magic", "tracepoint"]);
        refused(
            &["run", "--ring-size", "3MiB"],
            2,
            &["3MiB", "power of two"],
        );
        refused(&["trace", "--port", "70000"], 2, &["70000"]);
        refused(&["trace", "--count", "0"], 2, &["--count"]);
        refused(&["trace", "--duration", "10"], 2, &["10s"]);
        refused(&["trace", "--netns", "mine"], 2, &["mine"]);
        refused(
            &["trace", "--comm", "a-name-that-is-too-long"],
            2,
            &["a-name-that-is-"],
        );
    }

    #[test]
    fn an_unknown_ending_is_answered_with_the_known_ones() {
        let known = [
            "closed",
            "active_close",
            "peer_reset_after_fin",
            "timeout_connect",
            "unknown",
        ];
        refused(&["trace", "--ending", "closed"], 2, &known);
    }

    #[test]
    fn a_port_in_use_is_one_line_that_names_it_and_the_remedy() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap().to_string();
        let flag = format!("--web.listen-address={address}");
        let text = refused(
            &["run", &flag],
            1,
            &[&address, "in use", "--web.listen-address"],
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn an_events_file_that_cannot_be_opened_is_one_line_that_names_it() {
        let file = "/proc/no/such/file";
        let arguments = [
            "run",
            "--web.listen-address=127.0.0.1:0",
            "--events-file",
            file,
        ];
        let text = refused(&arguments, 1, &[file, "No such file"]);
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn help_and_version_go_to_standard_output() {
        for arguments in [["--help"], ["--version"]] {
            let output = observer(&arguments);
            assert_eq!(output.status.code(), Some(0));
            assert!(output.stderr.is_empty());
            assert!(
                String::from_utf8(output.stdout)
                    .unwrap()
                    .contains("tcp-observer")
            );
        }
    }
}

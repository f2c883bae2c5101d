//! The binary and its command line: bad input ends with one clear message and the right code.

#[cfg(test)]
mod command_line {
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
        refused(
            &["check", "--without", "state_changed"],
            2,
            &["without state changes no connection is seen"],
        );
        refused(
            &["run", "--without", "accepted,magic"],
            2,
            &["magic", "reset_replied"],
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
    fn sockets_of_systemd_need_systemd_and_are_no_addresses() {
        let text = refused(
            &["run", "--web.systemd-socket"],
            1,
            &["--web.systemd-socket", ".socket unit"],
        );
        assert_eq!(text.lines().count(), 1, "{text}");
        let both = ["run", "--web.systemd-socket", "--web.listen-address=:1"];
        refused(&both, 2, &["--web.systemd-socket", "--web.listen-address"]);
    }

    #[test]
    fn a_wrong_web_configuration_is_one_line_that_names_file_key_and_remedy() {
        let missing = ["run", "--web.config.file", "/no/such/web.yml"];
        let text = refused(&missing, 1, &["/no/such/web.yml", "No such file"]);
        assert_eq!(text.lines().count(), 1, "{text}");
        let file =
            std::env::temp_dir().join(format!("tcp-observer-cli-{}.yml", std::process::id()));
        let path = file.to_str().unwrap();
        for (written, words) in [
            (
                "tls_server_config: {min_version: TLS13}",
                ["cert_file", "leave the section out"],
            ),
            (
                "basic_auth_users: {alice: secret}",
                ["basic_auth_users.alice", "htpasswd"],
            ),
            (
                "basic_auth_user: {}",
                ["basic_auth_user", "basic_auth_users"],
            ),
        ] {
            std::fs::write(&file, written).unwrap();
            let text = refused(
                &["run", "--web.config.file", path],
                1,
                &[path, words[0], words[1]],
            );
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        std::fs::remove_file(&file).unwrap();
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
        refused(&["explain", "closed"], 2, &known);
    }

    #[test]
    fn a_word_that_is_part_of_an_ending_is_answered_with_it() {
        let text = refused(&["explain", "linger"], 2, &["similar"]);
        let tip = text.lines().find(|line| line.contains("similar")).unwrap();
        assert!(
            tip.contains("'reset_linger_zero', 'reset_linger2'"),
            "{tip}"
        );
        refused(&["trace", "--ending", "Refused"], 2, &["'connect_refused'"]);
    }

    #[test]
    fn explain_answers_on_standard_output_alone() {
        let all = observer(&["explain"]);
        let one = observer(&["explain", "peer_reset"]);
        let json = observer(&["explain", "--json", "peer_reset"]);
        for output in [&all, &one, &json] {
            assert_eq!(output.status.code(), Some(0));
            assert!(output.stderr.is_empty());
        }
        assert!(
            String::from_utf8(all.stdout)
                .unwrap()
                .contains("  peer_reset ")
        );
        assert!(one.stdout.starts_with(b"peer_reset (reset_received)\n"));
        assert!(json.stdout.starts_with(b"{\n"));
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

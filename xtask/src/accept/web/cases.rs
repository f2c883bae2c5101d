//! Web configurations, each judged by the agent and by promtool.
//! Takes a folder with certificates, gives how many were judged; fails where the
//! agent takes what promtool refuses, or either says other than is written here.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// What one of them says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Yes,
    No,
}

use Says::{No, Yes};

const TLS: &str = "tls_server_config:\n  cert_file: agent.pem\n  key_file: agent.key\n";
const USERS: &str = "basic_auth_users:\n  alice: \
    $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n";
const CLIENTS: &str = "  client_auth_type: RequireAndVerifyClientCert\n";

/// What is added to the section of TLS, or stands alone; the agent's word and promtool's.
const CASES: [(&str, &str, Says, Says); 25] = [
    ("", "", Yes, Yes),
    (TLS, "", Yes, Yes),
    ("", USERS, Yes, Yes),
    (TLS, "  min_version: TLS13\n", Yes, Yes),
    (TLS, "  max_version: TLS12\n", Yes, Yes),
    (TLS, "  prefer_server_cipher_suites: false\n", Yes, Yes),
    (
        TLS,
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
        Yes,
        Yes,
    ),
    (TLS, "  curve_preferences: [X25519, CurveP384]\n", Yes, Yes),
    (TLS, "  client_auth_type: RequestClientCert\n", Yes, Yes),
    (CLIENTS_OF_CA, "", Yes, Yes),
    (
        "http_server_config: {http2: true, headers: {X-Frame-Options: deny}}\n",
        "",
        Yes,
        Yes,
    ),
    // What both refuse.
    ("tls_server_confg: {}\n", "", No, No),
    (TLS, "  certfile: agent.pem\n", No, No),
    (
        "tls_server_config: {cert_file: none.pem, key_file: agent.key}\n",
        "",
        No,
        No,
    ),
    (
        "tls_server_config: {cert_file: agent.pem, key_file: scraper.key}\n",
        "",
        No,
        No,
    ),
    ("tls_server_config: {cert_file: agent.pem}\n", "", No, No),
    (TLS, "  client_auth_type: Always\n", No, No),
    (TLS, "  client_ca_file: ca.pem\n", No, No),
    (TLS, "  min_version: TLS14\n", No, No),
    ("basic_auth_users: {alice: secret}\n", "", No, No),
    ("http_server_config: {headers: {Server: x}}\n", "", No, No),
    // What the agent does not have or finds unsafe.
    (TLS, "  min_version: TLS11\n", No, Yes),
    (TLS, "  curve_preferences: [CurveP521]\n", No, Yes),
    (TLS, CLIENTS, No, Yes),
    (
        TLS,
        "  client_auth_type: RequireAnyClientCert\n  client_ca_file: ca.pem\n",
        No,
        Yes,
    ),
];

const CLIENTS_OF_CA: &str = "tls_server_config:\n  cert_file: agent.pem\n  key_file: agent.key\n  \
    client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";

/// Judges every case, in a folder that has the certificates.
pub(super) fn judge(agent: &Path, folder: &Path) -> Result<usize> {
    // The agent reads the file before it asks for the port, so it ends in any case.
    let holder = TcpListener::bind("127.0.0.1:0").context("could not bind a port")?;
    let taken = holder.local_addr()?.to_string();
    let path = folder.join("case.yml");
    for (text, more, by_agent, by_promtool) in CASES {
        let text = format!("{text}{more}");
        fs::write(&path, &text)?;
        let (agent_says, why) = ask_agent(agent, &path, &taken)?;
        let promtool_says = ask_promtool(&path)?;
        if (agent_says, promtool_says) != (by_agent, by_promtool) {
            bail!(
                "the agent says {agent_says:?} and promtool {promtool_says:?}, expected \
                 {by_agent:?} and {by_promtool:?}, of:\n{text}{why}"
            );
        }
        if (agent_says, promtool_says) == (Yes, No) {
            bail!("the agent takes what promtool refuses:\n{text}");
        }
    }
    Ok(CASES.len())
}

/// What promtool says.
fn ask_promtool(path: &Path) -> Result<Says> {
    let mut command = Command::new("promtool");
    command.args(["check", "web-config"]).arg(path);
    let output = command.output().context("could not start promtool")?;
    Ok(if output.status.success() { Yes } else { No })
}

/// Fails unless promtool takes a file.
pub(super) fn promtool_takes(path: &Path) -> Result<()> {
    match ask_promtool(path)? {
        Yes => Ok(()),
        No => bail!("promtool check web-config refuses {}", path.display()),
    }
}

/// What the agent says, and in which words.
fn ask_agent(agent: &Path, path: &Path, taken: &str) -> Result<(Says, String)> {
    let mut command = Command::new(agent);
    command.args(["run", "--web.listen-address", taken, "--web.config.file"]);
    let output = command
        .arg(path)
        .output()
        .context("could not start the agent")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let named = said.contains(&path.display().to_string());
    match (
        said.contains("web configuration") && named,
        said.contains("is in use"),
    ) {
        (true, false) => Ok((No, said)),
        (false, true) => Ok((Yes, said)),
        _ => bail!("the agent neither took nor refused the file: {said}"),
    }
}

//! Small Python programs: servers that forget to close, one that is only slow, a client that
//! never keeps a connection.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::program::Program;
use crate::scenario::clock::CEILING;
use crate::scenario::forking::spawn_alone;

const ASYNCIO_FORGETS: &str = include_str!("scripts/asyncio_forgets.py");
const THREADED: &str = include_str!("scripts/threaded.py");
const CLOSES_FIRST: &str = include_str!("scripts/closes_first.py");
const HOLDS: &str = include_str!("scripts/holds.py");
const CLIENT_LOOP: &str = include_str!("scripts/client_loop.py");

/// A server and where it listens.
#[derive(Debug)]
pub struct Server {
    /// The program.
    pub program: Program,
    /// Its address.
    pub at: SocketAddr,
}

impl Server {
    /// An asyncio server that reads to the end and never closes.
    pub fn asyncio_forgets() -> Result<Self> {
        Self::start(ASYNCIO_FORGETS, &[])
    }

    /// A threaded server whose threads answer once and are stuck from then on.
    pub fn threads_stuck() -> Result<Self> {
        Self::start(THREADED, &["stuck"])
    }

    /// A threaded server that closes so many seconds after its client.
    pub fn closes_after(seconds: &str) -> Result<Self> {
        Self::start(THREADED, &[seconds])
    }

    /// An HTTP server that closes so many seconds after its answer, though it need not.
    pub fn closes_first(seconds: &str) -> Result<Self> {
        Self::start(CLOSES_FIRST, &[seconds])
    }

    fn start(script: &str, arguments: &[&str]) -> Result<Self> {
        let mut program = Program::start(python(script)?.args(arguments))?;
        let port = program.wait_said("listens", 1)?;
        let port = port.first().context("it said so")?.parse()?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { program, at })
    }

    /// A client that has sent a request and has its answer.
    pub fn asked(&self) -> Result<TcpStream> {
        let mut client = TcpStream::connect(self.at)?;
        client.set_read_timeout(Some(CEILING))?;
        client.write_all(b"request\n")?;
        let mut answer = [0; 7];
        client.read_exact(&mut answer)?;
        ensure!(&answer == b"answer\n", "the server answered {answer:?}");
        Ok(client)
    }
}

/// A server at `at` that accepts and never closes; it says `held` when it has so many.
pub fn holds(at: SocketAddr, count: usize) -> Result<Program> {
    let (address, port) = (at.ip().to_string(), at.port().to_string());
    let mut python = python(HOLDS)?;
    let mut program = Program::start(python.args([address, port, count.to_string()]))?;
    program.wait_said("listens", 1)?;
    Ok(program)
}

/// The same under another name, that of a link to the interpreter, which is made.
pub(crate) fn holds_as(link: &Path, at: SocketAddr, count: usize) -> Result<Program> {
    symlink(python(HOLDS)?.get_program(), link)?;
    let (address, port) = (at.ip().to_string(), at.port().to_string());
    let arguments = ["-c", HOLDS, &address, &port, &count.to_string()];
    let mut program = Program::start(Command::new(link).args(arguments))?;
    program.wait_said("listens", 1)?;
    Ok(program)
}

/// A client of `port` that thinks about each answer for so many seconds.
pub fn client_loop(port: u16, pause: &str) -> Result<Program> {
    Program::start(python(CLIENT_LOOP)?.args([&port.to_string(), pause]))
}

/// The interpreter itself: what is called python3 may be a script that looks for it first.
fn python(script: &str) -> Result<Command> {
    let mut command = Command::new("python3");
    command.args(["-c", "import sys; print(sys.executable)"]);
    let (child, _alone) = spawn_alone(command.stdout(std::process::Stdio::piped()))?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "python3 ended with {}",
        output.status
    );
    let path = String::from_utf8(output.stdout)?;
    let mut python = Command::new(path.trim_end());
    python.args(["-c", script]);
    Ok(python)
}

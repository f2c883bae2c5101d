//! The binary, at work on this machine's kernel: it starts, serves, prints and ends. Where
//! the kernel or the privileges do not allow it, one line says so. What it says of each
//! ending is the kernel tests' matter.

#[cfg(test)]
mod at_work;
#[cfg(test)]
mod endpoint;
#[cfg(test)]
mod process;

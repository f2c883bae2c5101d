//! One hook a file. A hook's twins (fentry, kprobe, BTF tracepoint) are thin entry points
//! around one body: filter, reserve or count the drop, fill, submit.
//!
//! Takes the hook's arguments; gives one record, or nothing where the hook's file says so.
//! Never keeps state of a connection.

mod fill;
mod filter;
mod kernel;
mod once;
mod ring;
mod segment;
mod shed;
mod stack;

mod abort;
mod accept;
mod close;
mod destroy;
mod disconnect;
mod forget;
mod minisock_answer;
mod minisock_end;
mod minisock_start;
mod reset_received;
mod reset_reply;
mod reset_sent;
mod state;
mod teardown;

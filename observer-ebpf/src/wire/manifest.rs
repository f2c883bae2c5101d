//! Every program, map and global of the compiled object.

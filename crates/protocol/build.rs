//! Compiles the control schema. protox is a protobuf compiler in Rust: no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let schema = protox::compile(["control.proto"], ["proto"])?;
    prost_build::Config::new().bytes(["."]).skip_debug(["Hello"]).compile_fds(schema)?;
    Ok(())
}

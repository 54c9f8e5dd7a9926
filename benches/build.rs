//! With the feature `buffa`: its code for the control messages, from the schema that nyx-protocol generates its own from.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "buffa")]
    buffa()?;
    Ok(())
}

#[cfg(feature = "buffa")]
fn buffa() -> Result<(), Box<dyn std::error::Error>> {
    use protox::prost::Message as _;

    const FOLDERS: [&str; 2] = ["../crates/protocol/proto", "proto"];
    const SCHEMAS: [&str; 2] = ["control.proto", "envelope.proto"];

    FOLDERS.iter().for_each(|folder| println!("cargo::rerun-if-changed={folder}"));
    let descriptors = std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors");
    std::fs::write(&descriptors, protox::compile(SCHEMAS, FOLDERS)?.encode_to_vec())?;
    buffa_build::Config::new()
        .files(&SCHEMAS)
        .descriptor_set(descriptors)
        .include_file("buffa.rs")
        .compile()?;
    Ok(())
}

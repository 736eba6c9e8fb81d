//! Generates the client from contract.binpb, which buf or protoc writes: no protoc is needed here.

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=contract.binpb");
    let contract = prost_types::FileDescriptorSet::decode(&*std::fs::read("contract.binpb")?)?;
    tonic_prost_build::configure().build_server(false).compile_fds(contract)?;
    Ok(())
}

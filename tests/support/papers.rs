//! Certificates of nodes, made as the operators' guide says.

use std::{fs, path::Path, process::Command};

const CURVE: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// `authority.pem`, and `<node>.pem` with `<node>.key` for each node, in a directory.
pub fn issue(directory: &Path, nodes: &[&str]) {
    let authority =
        ["req", "-x509", "-days", "30", "-subj", "/CN=cluster", "-keyout", "authority.key", "-out", "authority.pem"];
    openssl(directory, &[&authority[..], &CURVE].concat());
    fs::write(directory.join("usage"), "extendedKeyUsage = serverAuth, clientAuth\nsubjectAltName = DNS:node\n")
        .unwrap();
    nodes.iter().for_each(|node| sign(directory, node, "30"));
}

/// The same for a node whose certificate is no longer valid.
pub fn expire(directory: &Path, node: &str) {
    sign(directory, node, "0");
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

fn sign(directory: &Path, node: &str, days: &str) {
    let [key, request, certificate] = ["key", "csr", "pem"].map(|kind| format!("{node}.{kind}"));
    let subject = format!("/CN={node}");
    openssl(directory, &[&["req", "-subj", &subject, "-keyout", &key, "-out", &request][..], &CURVE].concat());
    let sign = ["x509", "-req", "-days", days, "-in", &request, "-out", &certificate, "-extfile", "usage"];
    openssl(directory, &[&sign[..], &["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"]].concat());
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

//! Certificates of nodes, made as the operators' guide says.

use std::{fs, path::Path, process::Command};

/// `authority.pem`, and `<node>.pem` with `<node>.key` for each node, in a directory.
pub fn issue(directory: &Path, nodes: &[&str]) {
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority =
        ["req", "-x509", "-days", "30", "-subj", "/CN=cluster", "-keyout", "authority.key", "-out", "authority.pem"];
    openssl(directory, &[&authority[..], &curve].concat());
    fs::write(directory.join("usage"), "extendedKeyUsage = serverAuth, clientAuth\nsubjectAltName = DNS:node\n")
        .unwrap();
    for node in nodes {
        let [key, request, certificate] = ["key", "csr", "pem"].map(|kind| format!("{node}.{kind}"));
        let subject = format!("/CN={node}");
        openssl(directory, &[&["req", "-subj", &subject, "-keyout", &key, "-out", &request][..], &curve].concat());
        let sign = ["x509", "-req", "-days", "30", "-in", &request, "-out", &certificate, "-extfile", "usage"];
        openssl(
            directory,
            &[&sign[..], &["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"]].concat(),
        );
    }
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

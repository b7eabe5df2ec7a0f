//! Ed25519 keys as OpenSSL writes them: who deploys, and whom a node believes. Makes no keys.

use burst_host::{
    nouns::Seal,
    ports::{Distrust, Trust},
};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject};
use std::{fs, io, path::Path};

/// Who may deploy to a node.
pub enum Deployers {
    /// Whoever reaches it: for the processes of one box.
    Everybody,
    /// Whoever has the other half of one of these.
    Keys(Vec<PublicKey>),
}

/// A public key, checked to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// An operator's private key.
pub struct Operator(Ed25519KeyPair);

/// Why a file is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("it is no private key in PEM; `openssl genpkey -algorithm ed25519` makes one")]
    Private,
    #[error("it is no public key in PEM; `openssl pkey -in operator.key -pubout` prints one")]
    Public,
    #[error("it is a key of another algorithm than Ed25519; `openssl genpkey -algorithm ed25519` makes one")]
    Algorithm,
}

/// What stands before the 32 bytes of an Ed25519 key: a sequence, and the algorithm 1.3.101.112 (RFC 8410, 4).
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Reads a PEM file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&fs::read(path)?)
    }

    fn parse(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::Public)?;
        let key = der.as_ref().strip_prefix(&PREFIX).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(KeyError::Algorithm)
    }
}

impl Operator {
    /// Reads a PEM file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&fs::read(path)?)
    }

    fn parse(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::Private)?;
        // OpenSSL leaves the public half out.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(Self).map_err(|_| KeyError::Algorithm)
    }

    /// Signs bytes.
    pub fn sign(&self, message: &[u8]) -> Seal {
        let mut seal = [0; 64];
        // An Ed25519 signature has 64 bytes (RFC 8032, 5.1.6).
        seal.copy_from_slice(self.0.sign(message).as_ref());
        Seal(seal)
    }
}

impl Trust for Deployers {
    fn verify(&self, message: &[u8], seal: Option<&Seal>) -> Result<(), Distrust> {
        match (self, seal) {
            (Self::Everybody, _) => Ok(()),
            (Self::Keys(keys), _) if keys.is_empty() => Err(Distrust::Nobody),
            (Self::Keys(_), None) => Err(Distrust::Unsigned),
            (Self::Keys(keys), Some(seal)) => {
                let signed = |key: &PublicKey| UnparsedPublicKey::new(&ED25519, key.0).verify(message, &seal.0).is_ok();
                if keys.iter().any(signed) { Ok(()) } else { Err(Distrust::Stranger) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::process::Command;

    /// A private key and its public half, made as the operators' guide says.
    fn keys() -> (Vec<u8>, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let openssl = |arguments: &[&str]| {
            assert!(Command::new("openssl").args(arguments).current_dir(&directory).status().unwrap().success());
        };
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", "operator.key"]);
        openssl(&["pkey", "-in", "operator.key", "-pubout", "-out", "operator.pub"]);
        let read = |name| fs::read(directory.path().join(name)).unwrap();
        (read("operator.key"), read("operator.pub"))
    }

    #[test]
    fn only_what_a_deployer_signed_holds() {
        let (private, public) = keys();
        let operator = Operator::parse(&private).unwrap();
        let stranger = Operator::parse(&keys().0).unwrap();
        let deployers = Deployers::Keys(vec![PublicKey::parse(&public).unwrap()]);
        let seal = operator.sign(b"release");
        assert_eq!(deployers.verify(b"release", Some(&seal)), Ok(()));
        assert_eq!(deployers.verify(b"Release", Some(&seal)), Err(Distrust::Stranger));
        assert_eq!(deployers.verify(b"release", Some(&stranger.sign(b"release"))), Err(Distrust::Stranger));
        assert_eq!(deployers.verify(b"release", None), Err(Distrust::Unsigned));
        for bit in 0..512 {
            let mut forged = seal;
            forged.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(deployers.verify(b"release", Some(&forged)), Err(Distrust::Stranger), "bit {bit}");
        }
        assert_eq!(Deployers::Keys(Vec::new()).verify(b"release", Some(&seal)), Err(Distrust::Nobody));
        assert_eq!(Deployers::Everybody.verify(b"release", None), Ok(()));
    }

    #[test]
    fn what_is_no_key() {
        let (private, public) = keys();
        assert!(matches!(PublicKey::parse(&private), Err(KeyError::Public)));
        assert!(matches!(Operator::parse(&public), Err(KeyError::Private)));
        assert!(matches!(Operator::parse(b""), Err(KeyError::Private)));
        let other = String::from_utf8(public).unwrap().replace("MCow", "MCoA");
        assert!(matches!(PublicKey::parse(other.as_bytes()), Err(KeyError::Algorithm)));
    }
}

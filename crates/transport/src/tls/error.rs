//! Why certificates can't be used, and why there is no connection.

use std::io;
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

/// Why certificates and keys can't be used. Whoever configured them erred.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file can't be read.
    #[error("can't read {path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} has no {what}: it is a PEM file with a block `BEGIN …`", path = path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What is not in it.
        what: &'static str,
    },
    /// A file is broken.
    #[error("the {what} in {path} can't be read: {reason}", path = path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is broken.
        what: &'static str,
        /// How.
        reason: String,
    },
    /// What the file holds is not what TLS can use.
    #[error("{path} can't be used: {source}", path = path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that is too old or too new.
    #[error("the certificate {certificate} and its key can't be used: {source}", certificate = certificate.display())]
    Identity {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The system has nobody whom it trusts.
    #[error("this system has no root certificates: install its ca-certificates, or name a file of roots")]
    NoSystemRoots,
    /// What the roots allow can't be judged.
    #[error("clients can't be judged by {path}: {reason}", path = path.display())]
    ClientRoots {
        /// The file of roots.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Why no encrypted connection came about, or why it ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer's certificate is over. Its owner has to renew it.
    #[error("the peer's certificate has expired: renew it there, and check this machine's clock")]
    Expired,
    /// The peer's certificate is not valid yet.
    #[error("the peer's certificate is not valid yet: check both clocks")]
    NotYetValid,
    /// The certificate is for another name than the one that was called.
    #[error(
        "the peer's certificate is not for this name: call it by a name that it has, or issue one for this"
    )]
    WrongHost,
    /// Nobody who is trusted has signed the peer's certificate.
    #[error(
        "nobody whom this side trusts has signed the peer's certificate: name the file of its root (--ca, or tls.client_ca)"
    )]
    UnknownIssuer,
    /// The peer shows the certificate of an authority, such as `openssl req -x509` makes unless it is told otherwise.
    #[error(
        "the peer's certificate is one to sign others with (CA:TRUE), and not a server's or a client's: sign one with it, or make one with basicConstraints=CA:FALSE"
    )]
    IsAuthority,
    /// The peer's certificate can't be used for another reason.
    #[error("the peer's certificate is not good: {0}")]
    BadCertificate(CertificateError),
    /// The other side asks for a certificate, and this one showed none.
    #[error("the peer asks for a certificate, and none was shown: configure one (--cert and --key)")]
    CertificateRequired,
    /// The other side does not take the certificate that this one showed.
    #[error(
        "the peer does not take this side's certificate ({0:?}): check who signed it, until when and for what"
    )]
    Refused(AlertDescription),
    /// What answers does not speak TLS.
    #[error("what answers does not speak TLS: check the port, or call it without (nyx://, http://)")]
    NotTls,
    /// Both speak TLS, but have nothing in common.
    #[error(
        "no common version, cipher or protocol ({0}): check the port, which may be that of another protocol"
    )]
    Incompatible(rustls::Error),
    /// The connection ended meanwhile.
    #[error("the connection ended during the handshake: does the peer speak TLS on this port?")]
    Closed,
    /// The name that was called can't stand in a certificate.
    #[error("`{0}` can't be the name of a peer")]
    Name(String),
    /// Anything else that TLS has to say.
    #[error("TLS failed: {0}")]
    Tls(rustls::Error),
    /// What the system says.
    #[error("the connection broke during the handshake: {0}")]
    Io(io::Error),
}

impl HandshakeError {
    /// What an error of a [`Stream`](super::Stream) says about TLS. A peer that refuses a client's certificate says so after the
    /// client's handshake is over (RFC 8446, section 4.4.2.4), so it shows with the first read.
    ///
    /// # Errors
    /// The error itself, where it is none of TLS.
    pub fn of_stream(error: io::Error) -> Result<Self, io::Error> {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Ok(Self::of_tls(tls.clone())),
            None => Err(error),
        }
    }

    pub(super) fn of_handshake(error: io::Error) -> Self {
        match Self::of_stream(error) {
            Ok(told) => told,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            Err(error) => Self::Io(error),
        }
    }

    fn of_tls(error: rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(error) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongHost
                }
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                other if is_authority(&other) => Self::IsAuthority,
                other => Self::BadCertificate(other),
            },
            Error::NoCertificatesPresented | Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::CertificateRequired
            }
            Error::AlertReceived(
                alert @ (AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::AccessDenied),
            ) => Self::Refused(alert),
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_)
            | Error::NoApplicationProtocol
            | Error::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::NoApplicationProtocol,
            ) => Self::Incompatible(error),
            error => Self::Tls(error),
        }
    }

    /// A short name, for metrics. There are few.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Expired | Self::NotYetValid => "not_valid_now",
            Self::WrongHost => "wrong_host",
            Self::UnknownIssuer => "unknown_issuer",
            Self::IsAuthority | Self::BadCertificate(_) => "bad_certificate",
            Self::CertificateRequired => "certificate_required",
            Self::Refused(_) => "refused_by_peer",
            Self::NotTls => "not_tls",
            Self::Incompatible(_) => "incompatible",
            Self::Closed => "closed",
            Self::Name(_) | Self::Tls(_) => "other",
            Self::Io(_) => "io",
        }
    }

    /// All that [`name`](Self::name) may say.
    pub const NAMES: [&'static str; 11] = [
        "not_valid_now",
        "wrong_host",
        "unknown_issuer",
        "bad_certificate",
        "certificate_required",
        "refused_by_peer",
        "not_tls",
        "incompatible",
        "closed",
        "other",
        "io",
    ];
}

fn is_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(other) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

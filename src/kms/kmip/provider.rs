//! Servers that speak KMIP (OASIS), over mutual TLS.
//!
//! `kmip://HOST:PORT/UID`. The server wraps: its Encrypt and Decrypt operations with AES-GCM and the wrap context as
//! additional data (KMIP 1.4). From a server that lacks these operations, but gives its key out, the key
//! is fetched, and wraps here.
//!
//! Wrapped bytes: a byte 1, the nonce (12), the tag (16), the ciphertext, if the server wrapped; a byte 2 and
//! AES-256-GCM's nonce, ciphertext and tag if it was done here.
//!
//! Credentials: a client certificate, `CIPHERFORM_KMIP_CERT` and `CIPHERFORM_KMIP_KEY`. Trusted authorities:
//! `CIPHERFORM_KMIP_CA`, or those of the system.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::ttlv::{AES, GCM, TtlvReader, TtlvWriter, kind, number, operation, tag};
use crate::error::Detail;
use crate::keys::{KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext, random};
use crate::kms::remote::{Failure, Provider, attempt, does_not_unwrap, malformed, no_such_key, remote_client, tls};
use crate::kms::seal;
use crate::kms::settings::{Settings, Timeouts};
use crate::{Error, ErrorKind, Result, Secret};

/// First byte of what the server wrapped.
const BY_SERVER: u8 = 1;
/// First byte of what was wrapped here, under a key that the server gave out.
const BY_US: u8 = 2;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Limit on the length of a response, in bytes.
const LONGEST_RESPONSE: usize = 1 << 20;

remote_client! {
    /// A server that speaks KMIP.
    pub struct KmipKms(KmipProvider);
}

struct KmipProvider {
    settings: Settings,
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

/// The location of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct KmipKeyLocation {
    host: String,
    port: u16,
    uid: String,
}

impl KmipProvider {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            tls: Mutex::default(),
        }
    }
}

impl Provider for KmipProvider {
    type Location = KmipKeyLocation;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn locate(key: &KmsKeyRef) -> Result<KmipKeyLocation> {
        KmipKeyLocation::parse(key)
    }

    fn describe(&self, location: &KmipKeyLocation) -> Result<KmsKeyInfo> {
        let wanted = [
            "State",
            "Cryptographic Algorithm",
            "Cryptographic Length",
            "Initial Date",
        ];
        let mut payload = TtlvWriter::default();
        payload.text(tag::UNIQUE_IDENTIFIER, &location.uid);
        for name in wanted {
            payload.text(tag::ATTRIBUTE_NAME, name);
        }
        let response = self.request(location, operation::GET_ATTRIBUTES, payload)?;
        let mut info = KmsKeyInfo::new("kmip", &location.uid, KmsKeyState::Unavailable).with_rotation("by hand");
        let (mut algorithm, mut bits) = (None, None);
        for attribute in response.all(tag::ATTRIBUTE) {
            let attribute = TtlvReader(attribute);
            let name = attribute.find(tag::ATTRIBUTE_NAME).unwrap_or_default();
            let value = attribute.find(tag::ATTRIBUTE_VALUE).unwrap_or_default();
            match name {
                b"State" => {
                    info.state = match number(value) {
                        // States of KMIP: 1 Pre-Active, 2 Active, 3 Deactivated, 4 Compromised, 5
                        // Destroyed. Only the second wraps.
                        Some(2) => KmsKeyState::Enabled,
                        Some(3) => KmsKeyState::Disabled,
                        _ => KmsKeyState::Unavailable,
                    };
                }
                b"Cryptographic Algorithm" => algorithm = number(value),
                b"Cryptographic Length" => bits = number(value),
                b"Initial Date" => {
                    if let Some(seconds) = value.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) {
                        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
                        info = info.with_created(time.into());
                    }
                }
                _ => {}
            }
        }
        let algorithm = if algorithm == Some(AES) { "AES" } else { "not AES" };
        Ok(info.with_usage(format!("{algorithm} {}", bits.unwrap_or_default())))
    }

    fn wrap(&self, location: &KmipKeyLocation, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let context = context.to_bytes();
        // Made here and sent: servers differ in whether they choose one, and in how they return it.
        let nonce: [u8; NONCE] = random::array()?;
        let mut payload = gcm(location);
        payload.bytes(tag::DATA, plaintext.expose());
        payload.bytes(tag::NONCE, &nonce);
        payload.bytes(tag::ADDITIONAL_DATA, &context);
        match self.request(location, operation::ENCRYPT, payload) {
            Ok(response) => {
                let (sealed, check) = (response.find(tag::DATA), response.find(tag::AUTHENTICATION_TAG));
                match (sealed, check) {
                    // A server may shorten the tag. Anything else than 16 bytes is refused, as it could
                    // not be told apart when it is read.
                    (Some(sealed), Some(check)) if check.len() == TAG => {
                        Ok([&[BY_SERVER], &nonce[..], check, sealed].concat())
                    }
                    _ => Err(not_kmip("an Encrypt without ciphertext and tag")),
                }
            }
            Err(error) if error.detail() == Some(Detail::UnsupportedOperation) => {
                // The key is used and dropped, which wipes it: it is fetched again for the next data key.
                let key = self.fetch(location)?;
                Ok([&[BY_US], &seal::seal(key.expose(), &context, plaintext.expose())?[..]].concat())
            }
            Err(error) => Err(error),
        }
    }

    fn unwrap(&self, location: &KmipKeyLocation, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let context = context.to_bytes();
        let not_ours = || Error::bad_input("the wrapped bytes are not from a KMIP key");
        let sealed = match wrapped.split_first() {
            // The byte is not authenticated. A changed one leads to the other path, where the tag does
            // not fit.
            Some((&BY_US, sealed)) => return seal::open(self.fetch(location)?.expose(), &context, sealed),
            Some((&BY_SERVER, sealed)) => sealed,
            _ => return Err(not_ours()),
        };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(not_ours)?;
        let (check, sealed) = sealed.split_first_chunk::<TAG>().ok_or_else(not_ours)?;
        let mut payload = gcm(location);
        payload.bytes(tag::DATA, sealed);
        payload.bytes(tag::NONCE, nonce);
        payload.bytes(tag::ADDITIONAL_DATA, &context);
        payload.bytes(tag::AUTHENTICATION_TAG, check);
        let response = self.request(location, operation::DECRYPT, payload)?;
        let plaintext = response
            .find(tag::DATA)
            .ok_or_else(|| not_kmip("a Decrypt without plaintext"))?;
        Ok(Secret::new(plaintext.to_vec()))
    }
}

impl KmipProvider {
    /// Fetches the key itself, 256 bits, from a server that gives it out.
    fn fetch(&self, location: &KmipKeyLocation) -> Result<Secret<Vec<u8>>> {
        let mut payload = TtlvWriter::default();
        payload.text(tag::UNIQUE_IDENTIFIER, &location.uid);
        let response = self.request(location, operation::GET, payload)?;
        let path = [tag::SYMMETRIC_KEY, tag::KEY_BLOCK, tag::KEY_VALUE, tag::KEY_MATERIAL];
        let material = path
            .iter()
            .try_fold(response.bytes(), |structure, tag| TtlvReader(structure).find(*tag));
        match material {
            // Only raw bytes of AES-256: a key in another format, or wrapped, has another length.
            Some(material) if material.len() == 32 => Ok(Secret::new(material.to_vec())),
            _ => Err(Error::new(
                ErrorKind::KeyNotUsable,
                "the KMIP server's object is not a symmetric key of 256 bits",
            )
            .with_hint("create one: AES, length 256, usage encrypt and decrypt")),
        }
    }

    /// Sends one operation. A refusal for want of permission is explained: the key may not be active.
    fn request(&self, location: &KmipKeyLocation, operation: u32, payload: TtlvWriter) -> Result<KmipPayload> {
        match KmipResponse::parse(&self.exchange(location, operation, payload)?)? {
            KmipResponse::Success(payload) => Ok(payload),
            KmipResponse::Refusal { reason, message } => {
                // Servers refuse a key that is not active with the same reason as a stranger. To ask for
                // the state costs a request, only after a refusal.
                let cryptographic = [operation::ENCRYPT, operation::DECRYPT].contains(&operation);
                if reason == PERMISSION_DENIED && cryptographic && !self.is_active(location)? {
                    return Err(
                        Error::new(ErrorKind::KeyNotUsable, "the key on the KMIP server is not active")
                            .with_hint("activate the key on the server, or use another one"),
                    );
                }
                Err(refusal(reason, message, operation))
            }
        }
    }

    fn is_active(&self, location: &KmipKeyLocation) -> Result<bool> {
        Ok(self.describe(location)?.state == KmsKeyState::Enabled)
    }

    fn exchange(&self, location: &KmipKeyLocation, operation: u32, payload: TtlvWriter) -> Result<Secret<Vec<u8>>> {
        let tls = self.tls()?;
        let request = message(operation, payload);
        let timeouts = self.settings.timeouts();
        let host = format!("{}:{}", location.host, location.port);
        attempt(timeouts, || {
            let started = std::time::Instant::now();
            // A connection of its own for each request: there is none that the server could have closed
            // meanwhile.
            let response = exchange(&tls, location, timeouts, request.expose());
            tracing::debug!(host, operation, took = ?started.elapsed(), answered = response.is_ok(), "a KMIP request");
            response.map_err(|error| failure(error, &host))
        })
    }

    fn tls(&self) -> Result<Arc<ClientConfig>> {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &*tls {
            return Ok(Arc::clone(tls));
        }
        let broken = |error: rustls::Error| {
            Error::bad_input(
                "the TLS settings for KMIP do not match each \
             other",
            )
            .with_source(error)
        };
        let builder = ClientConfig::builder_with_provider(tls::provider(self.settings.is_approved_only()))
            .with_safe_default_protocol_versions()
            .map_err(broken)?;
        let builder = match self.settings.get("CIPHERFORM_KMIP_CA") {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                // Only these authorities, without those of the system.
                roots.add_parsable_certificates(certificates(path)?);
                builder.with_root_certificates(roots)
            }
            None => {
                let verifier = rustls_platform_verifier::Verifier::new(tls::provider(self.settings.is_approved_only()))
                    .map_err(broken)?;
                // The name is rustls's warning about verifiers of one's own. This one is the operating
                // system's, and verifies in full.
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let (certificate, key) = (
            self.settings.get("CIPHERFORM_KMIP_CERT"),
            self.settings.get("CIPHERFORM_KMIP_KEY"),
        );
        // The server knows its clients by their certificates alone, so nothing works without one.
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Err(
                Error::new(ErrorKind::NotAllowed, "no credentials found for the KMIP server").with_hint(
                    "set CIPHERFORM_KMIP_CERT and CIPHERFORM_KMIP_KEY to PEM files of a client certificate and its key",
                ),
            );
        };
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|_| Error::bad_input(format!("`{key}` holds no private key in PEM form")))?;
        let config = builder
            .with_client_auth_cert(certificates(certificate)?, private)
            .map_err(broken)?;
        Ok(Arc::clone(tls.insert(Arc::new(config))))
    }
}

impl KmipKeyLocation {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let form =
            || malformed(key, "the form is wrong").with_hint("write `kmip://HOST:PORT/UID`; the usual port is 5696");
        let (host, uid) = key
            .rest()
            .strip_prefix("//")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(form)?;
        let (host, port) = match host.rsplit_once(':') {
            // An IPv6 address without a port has colons of its own.
            Some((host, port)) if !host.ends_with(':') => (host, port.parse().map_err(|_| form())?),
            _ => (host, 5696),
        };
        if host.is_empty() || uid.is_empty() {
            return Err(form());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            uid: uid.to_owned(),
        })
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let none = || Error::bad_input(format!("`{path}` holds no certificate in PEM form"));
    let read = CertificateDer::pem_file_iter(Path::new(path)).map_err(|error| none().with_source(error))?;
    let certificates: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|error| none().with_source(error))?;
    if certificates.is_empty() {
        Err(none())
    } else {
        Ok(certificates)
    }
}

/// Sends one request and reads its response, over a connection of their own.
fn exchange(
    tls: &Arc<ClientConfig>,
    location: &KmipKeyLocation,
    timeouts: Timeouts,
    request: &[u8],
) -> io::Result<Secret<Vec<u8>>> {
    let name = ServerName::try_from(location.host.clone()).map_err(io::Error::other)?;
    let mut last = io::Error::other("the name has no address");
    let mut tcp = None;
    // A name may have an IPv6 address that is not reachable beside an IPv4 one that is.
    for address in (location.host.as_str(), location.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeouts.connect) {
            Ok(stream) => {
                tcp = Some(stream);
                break;
            }
            Err(error) => last = error,
        }
    }
    let tcp = tcp.ok_or(last)?;
    tcp.set_read_timeout(Some(timeouts.response))?;
    tcp.set_write_timeout(Some(timeouts.response))?;
    let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, tcp);
    stream.write_all(request)?;
    stream.flush()?;
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    // The length is the server's word: without a limit 4 GiB would be allocated for it. 0x42007B is the
    // tag of a Response Message.
    if head[..4] != [0x42, 0x00, 0x7b, kind::STRUCTURE] || length > LONGEST_RESPONSE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a KMIP response"));
    }
    let mut body = Secret::new(vec![0; length]);
    stream.read_exact(body.expose_mut())?;
    Ok(body)
}

fn failure(error: io::Error, host: &str) -> Failure {
    if let Some(cause) = tls::cause(&error) {
        return Failure::Lasting(tls::handshake_error(cause, host));
    }
    let hint = "check the address, the network, and that this is a KMIP port; the job can be run again";
    let down = Error::new(
        ErrorKind::ProviderDown,
        format!("`{host}` does not answer as a KMIP server"),
    );
    // What is not KMIP now will not be at the next attempt: the port is another service's.
    let lasting = error.kind() == io::ErrorKind::InvalidData;
    let error = down.with_source(error).with_hint(hint);
    if lasting {
        Failure::Lasting(error)
    } else {
        Failure::Passing(error)
    }
}

fn not_kmip(what: &str) -> Error {
    Error::new(ErrorKind::ProviderDown, format!("the KMIP server sent {what}"))
}

/// Result Reason "Permission Denied": KMIP 1.4, section 9.1.3.2.29.
const PERMISSION_DENIED: u32 = 0x0c;

/// The response to one operation.
enum KmipResponse {
    Success(KmipPayload),
    /// The result reason, and the server's words.
    Refusal {
        reason: u32,
        message: String,
    },
}

impl KmipResponse {
    fn parse(message: &Secret<Vec<u8>>) -> Result<Self> {
        let item = TtlvReader(message.expose())
            .find(tag::BATCH_ITEM)
            .ok_or_else(|| not_kmip("a response without content"))?;
        let item = TtlvReader(item);
        // Only a status that says success is one: a missing or pending one is not.
        if item.find(tag::RESULT_STATUS).and_then(number) == Some(0) {
            let payload = item.find(tag::RESPONSE_PAYLOAD).unwrap_or_default();
            return Ok(Self::Success(KmipPayload(Secret::new(payload.to_vec()))));
        }
        let text = String::from_utf8_lossy(item.find(tag::RESULT_MESSAGE).unwrap_or_default());
        Ok(Self::Refusal {
            reason: item.find(tag::RESULT_REASON).and_then(number).unwrap_or_default(),
            // The server's words go to a terminal.
            message: text.chars().filter(|c| !c.is_control()).take(200).collect(),
        })
    }
}

/// Returns the error for a refusal: KMIP 1.4, section 9.1.3.2.29.
fn refusal(reason: u32, message: String, operation: u32) -> Error {
    let refused = |kind, hint: &'static str| {
        Error::new(kind, format!("the KMIP server refused the request: {message}")).with_hint(hint)
    };
    match reason {
        0x01 => no_such_key("the KMIP server"),
        0x05 => refused(
            ErrorKind::KeyNotUsable,
            "the server has no such operation; a key that it gives out would do",
        )
        .with_detail(Detail::UnsupportedOperation),
        // Cryptographic failure and invalid field; some servers report a wrong tag as a general failure.
        0x0a | 0x07 | 0x100 if operation == operation::DECRYPT => does_not_unwrap(),
        0x03 | PERMISSION_DENIED => refused(
            ErrorKind::NotAllowed,
            "use the certificate of the client that owns the key, or let a policy of the server allow this one",
        ),
        0x0d | 0x16 | 0x17 => refused(
            ErrorKind::KeyNotUsable,
            "the key is archived, or may not leave the server",
        ),
        _ => refused(ErrorKind::ProviderDown, "see the server's log"),
    }
}

/// The payload of a successful response.
struct KmipPayload(Secret<Vec<u8>>);

impl KmipPayload {
    fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    fn find(&self, tag: u32) -> Option<&[u8]> {
        TtlvReader(self.bytes()).find(tag)
    }

    fn all(&self, tag: u32) -> impl Iterator<Item = &[u8]> {
        TtlvReader(self.bytes())
            .items()
            .filter_map(move |(found, value)| (found == tag).then_some(value))
    }
}

/// Starts the payload of Encrypt and Decrypt.
fn gcm(location: &KmipKeyLocation) -> TtlvWriter {
    let mut parameters = TtlvWriter::default();
    parameters.enumeration(tag::BLOCK_CIPHER_MODE, GCM);
    parameters.enumeration(tag::CRYPTOGRAPHIC_ALGORITHM, AES);
    // Said outright: the default of a server may be shorter.
    parameters.integer(tag::TAG_LENGTH, TAG as u32);
    let mut payload = TtlvWriter::default();
    payload.text(tag::UNIQUE_IDENTIFIER, &location.uid);
    payload.structure(tag::CRYPTOGRAPHIC_PARAMETERS, &parameters);
    payload
}

/// Makes a request with one operation, in KMIP 1.4.
fn message(operation: u32, payload: TtlvWriter) -> Secret<Vec<u8>> {
    let mut version = TtlvWriter::default();
    version.integer(tag::PROTOCOL_VERSION_MAJOR, 1);
    version.integer(tag::PROTOCOL_VERSION_MINOR, 4);
    let mut header = TtlvWriter::default();
    header.structure(tag::PROTOCOL_VERSION, &version);
    header.integer(tag::BATCH_COUNT, 1);
    let mut item = TtlvWriter::default();
    item.enumeration(tag::OPERATION, operation);
    item.structure(tag::REQUEST_PAYLOAD, &payload);
    let mut content = TtlvWriter::default();
    content.structure(tag::REQUEST_HEADER, &header);
    content.structure(tag::BATCH_ITEM, &item);
    let mut whole = TtlvWriter::default();
    whole.structure(tag::REQUEST_MESSAGE, &content);
    whole.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let location = |text: &str| KmipKeyLocation::parse(&text.parse().unwrap());
        let parsed = location("kmip://kms.example:15696/12").unwrap();
        assert_eq!(
            (parsed.host.as_str(), parsed.port, parsed.uid.as_str()),
            ("kms.example", 15_696, "12")
        );
        assert_eq!(location("kmip://kms.example/12").unwrap().port, 5_696);
        assert_eq!(location("kmip://[::1]:5696/12").unwrap().host, "::1");
        for bad in [
            "kmip:12",
            "kmip://kms.example",
            "kmip:///12",
            "kmip://kms.example/",
            "kmip://kms.example:x/1",
        ] {
            assert!(location(bad).is_err(), "{bad}");
        }
    }
}

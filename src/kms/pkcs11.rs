//! Hardware security modules, by PKCS#11: the KMS key is an AES-256 key that the module never gives out.
//!
//! `pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/….so&pin-source=/run/secrets/pin` (RFC 7512).
//!
//! What a key wraps: a byte 1, the nonce (12 bytes), then `CKM_AES_GCM` with the wrap context as associated data.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Cryptoki, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use super::Settings;
use super::remote::{Failure, Queue, decode, decode_bytes, does_not_unwrap, malformed, no_such_key, parameters};
use super::settings::read_secret;
use crate::keys::{DataKey, KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext, random};
use crate::{Error, ErrorKind, Result, Secret};

/// The layout of wrapped bytes.
const WRAPPED: u8 = 1;

const NONCE: usize = 12;

/// A hardware security module, or several: each reference names its module and token.
#[derive(Clone, Debug)]
pub struct Pkcs11Kms {
    inner: Arc<Inner>,
    queue: Queue,
}

struct Inner {
    settings: Settings,
    /// A module is initialised once in a process.
    modules: Mutex<HashMap<PathBuf, Pkcs11>>,
    /// One session a token: a module does one thing at a time in it.
    sessions: Mutex<HashMap<(PathBuf, Token), Session>>,
}

/// Which token: what the reference says of it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Token {
    label: Option<String>,
    serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
}

/// Where a key is.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    token: Token,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module: Option<PathBuf>,
    pin_source: Option<PathBuf>,
}

impl Pkcs11Kms {
    /// A client with these settings. No module is loaded yet.
    pub fn new(settings: Settings) -> Self {
        let queue = Queue::new(settings.patience());
        let inner = Inner {
            settings,
            modules: Mutex::default(),
            sessions: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
            queue,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &KmsKeyRef,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, Cryptoki> + Send + 'static,
    ) -> Result<T> {
        let place = Place::parse(key)?;
        let inner = Arc::clone(&self.inner);
        self.queue
            .run_or_leave("the HSM", move || inner.with_key(&place, work))
            .await
    }
}

#[async_trait]
impl KmsClient for Pkcs11Kms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        let id = key.rest().split('?').next().unwrap_or_default().to_owned();
        let local = self.run(key, |session, handle| {
            let made_here = session.get_attributes(handle, &[AttributeType::Local])?;
            Ok(made_here.contains(&Attribute::Local(true)))
        });
        let origin = if local.await? {
            "made in the HSM"
        } else {
            "imported into the HSM"
        };
        Ok(KmsKeyInfo::new("pkcs11", id, KmsKeyState::Enabled)
            .with_usage("AES-256, encrypt and decrypt, not extractable")
            .with_origin(origin)
            .with_rotation("by hand"))
    }

    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        let context = context.to_bytes();
        self.run(key, move |session, handle| {
            let mut plaintext = Secret::new(vec![0; length]);
            session.generate_random_slice(plaintext.expose_mut())?;
            let wrapped = encrypt(session, handle, plaintext.expose(), &context)?;
            Ok(DataKey { plaintext, wrapped })
        })
        .await
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let (plaintext, context) = (plaintext.clone(), context.to_bytes());
        self.run(key, move |session, handle| {
            encrypt(session, handle, plaintext.expose(), &context)
        })
        .await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let Some((nonce, sealed)) = wrapped
            .strip_prefix(&[WRAPPED])
            .and_then(|rest| rest.split_first_chunk::<NONCE>())
        else {
            return Err(Error::bad_input("the wrapped bytes are not of a PKCS#11 module"));
        };
        let (nonce, sealed, context) = (*nonce, sealed.to_vec(), context.to_bytes());
        let opened = self.run(key, move |session, handle| {
            let mut nonce = nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, &context, 128.into())?);
            match session.decrypt(&mechanism, handle, &sealed) {
                Ok(plaintext) => Ok(Some(Secret::new(plaintext))),
                // Modules differ in what they call a tag that does not fit; SoftHSM has one word for everything.
                Err(Cryptoki::Pkcs11(
                    RvError::GeneralError
                    | RvError::EncryptedDataInvalid
                    | RvError::EncryptedDataLenRange
                    | RvError::DataInvalid
                    | RvError::FunctionFailed
                    | RvError::ArgumentsBad,
                    _,
                )) => Ok(None),
                Err(error) => Err(error),
            }
        });
        opened.await?.ok_or_else(does_not_unwrap)
    }

    async fn random(&self, length: usize) -> Result<Secret<Vec<u8>>> {
        // Without a key there is no module to ask.
        random::secret(length)
    }
}

fn encrypt(session: &Session, key: ObjectHandle, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, Cryptoki> {
    let mut nonce = [0; NONCE];
    session.generate_random_slice(&mut nonce)?;
    let sealed = {
        let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, context, 128.into())?);
        session.encrypt(&mechanism, key, plaintext)?
    };
    // Read afterwards: a module may have put a nonce of its own in its place.
    Ok([&[WRAPPED], &nonce[..], &sealed].concat())
}

impl Inner {
    /// Does `work` with the key; once more in a new session if the old one has ended.
    fn with_key<T>(&self, place: &Place, work: impl Fn(&Session, ObjectHandle) -> Result<T, Cryptoki>) -> Result<T> {
        let module = self.module_path(place)?;
        let address = (module.clone(), place.token.clone());
        let attempt = |session: &Session| work(session, find(session, place)?).map_err(failed);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&address) {
            match attempt(session) {
                Ok(done) => return Ok(done),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Passing(_)) => drop(sessions.remove(&address)),
            }
        }
        let session = self.log_in(&module, place)?;
        let done = attempt(&session).map_err(Failure::into_error)?;
        sessions.insert(address, session);
        Ok(done)
    }

    fn module_path(&self, place: &Place) -> Result<PathBuf> {
        let path = place.module.clone();
        path.or_else(|| self.settings.get("CIPHERFORM_PKCS11_MODULE").map(PathBuf::from))
            .ok_or_else(|| {
                Error::bad_input("nothing says which PKCS#11 module to load").with_hint(
                    "write `?module-path=/usr/lib/….so` behind the reference, or set CIPHERFORM_PKCS11_MODULE",
                )
            })
    }

    fn module(&self, path: &Path) -> Result<Pkcs11> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(path) {
            return Ok(module.clone());
        }
        let away = |error| {
            let message = format!("the PKCS#11 module `{}` cannot be loaded", path.display());
            Error::new(ErrorKind::ProviderDown, message)
                .with_source(error)
                .with_hint("install the HSM's client library, or correct the path; then run this again")
        };
        let module = Pkcs11::new(path).map_err(away)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Somebody else in this process uses it, too.
            Ok(()) | Err(Cryptoki::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(away(error)),
        }
        Ok(modules.entry(path.to_path_buf()).or_insert(module).clone())
    }

    fn log_in(&self, path: &Path, place: &Place) -> Result<Session> {
        let module = self.module(path)?;
        let slot = slot(&module, &place.token)?;
        let session = module
            .open_rw_session(slot)
            .or_else(|_| module.open_ro_session(slot))
            .map_err(|error| failed(error).into_error())?;
        let pin = match &place.pin_source {
            Some(path) => read_secret(path)?,
            None => self.settings.secret("CIPHERFORM_PKCS11_PIN")?.ok_or_else(|| {
                Error::new(ErrorKind::NotAllowed, "the HSM's token wants a PIN, and nothing says it")
                    .with_hint("set CIPHERFORM_PKCS11_PIN or CIPHERFORM_PKCS11_PIN_FILE, or write `pin-source=/path` into the reference")
            })?,
        };
        let pin = AuthPin::new(pin.expose().as_str().into());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Cryptoki::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(failed(error).into_error()),
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Place {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (path, mut parameters) = parameters(key)?;
        let mut place = Self {
            token: Token::default(),
            object: None,
            id: None,
            module: parameters.remove("module-path").map(PathBuf::from),
            pin_source: None,
        };
        if let Some(source) = parameters.remove("pin-source") {
            let path = source
                .strip_prefix("file://")
                .or(source.strip_prefix("file:"))
                .unwrap_or(&source);
            place.pin_source = Some(path.into());
        }
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("there is no parameter `{name}`"))
                .with_hint("there are `module-path` and `pin-source`"));
        }
        for part in path.split(';') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| malformed(key, "a part before `?` is not NAME=VALUE"))?;
            let text = || {
                decode(value)
                    .filter(|text| !text.is_empty())
                    .ok_or_else(|| malformed(key, &format!("`{name}` has no value that is text")))
            };
            match name {
                "token" => place.token.label = Some(text()?),
                "serial" => place.token.serial = Some(text()?),
                "manufacturer" => place.token.manufacturer = Some(text()?),
                "model" => place.token.model = Some(text()?),
                "object" => place.object = Some(text()?),
                "id" => {
                    place.id = Some(decode_bytes(value).ok_or_else(|| malformed(key, "`id` is not percent-encoded"))?)
                }
                "type" if value == "secret-key" => {}
                _ => {
                    return Err(malformed(key, &format!("there is no attribute `{name}`"))
                        .with_hint("there are token, serial, manufacturer, model, object, id"));
                }
            }
        }
        match (&place.object, &place.id) {
            (None, None) => Err(malformed(key, "it names no key").with_hint("write `object=LABEL` or `id=%01`")),
            _ => Ok(place),
        }
    }
}

impl Token {
    fn fits(&self, info: &TokenInfo) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is.trim_end());
        fits(&self.label, info.label())
            && fits(&self.serial, info.serial_number())
            && fits(&self.manufacturer, info.manufacturer_id())
            && fits(&self.model, info.model())
    }
}

fn slot(module: &Pkcs11, token: &Token) -> Result<Slot> {
    let slots = module
        .get_slots_with_initialized_token()
        .map_err(|error| failed(error).into_error())?;
    let mut names = Vec::new();
    for slot in slots {
        // A token that was pulled out meanwhile is none.
        let Ok(info) = module.get_token_info(slot) else {
            continue;
        };
        if token.fits(&info) {
            return Ok(slot);
        }
        names.push(format!("`{}`", info.label().trim_end()));
    }
    Err(
        Error::new(ErrorKind::KeyNotFound, "the HSM has no such token").with_hint(match names.as_slice() {
            [] => "no token is there at all: is the HSM connected, and its client configured?".to_owned(),
            names => format!("the tokens there are {}", names.join(", ")),
        }),
    )
}

/// The key, if it is one that wraps and stays.
fn find(session: &Session, place: &Place) -> Result<ObjectHandle, Failure> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
    ];
    template.extend(
        place
            .object
            .as_ref()
            .map(|label| Attribute::Label(label.clone().into_bytes())),
    );
    template.extend(place.id.clone().map(Attribute::Id));
    let handles = session.find_objects(&template).map_err(failed)?;
    let key = match handles.as_slice() {
        [key] => *key,
        [] => return Err(no_such_key("the HSM's token").into()),
        _ => {
            let error = Error::bad_input(format!(
                "{} AES keys of the HSM's token fit the reference",
                handles.len()
            ));
            return Err(error.with_hint("name one by its id, too: `;id=%01`").into());
        }
    };
    let wanted = [
        AttributeType::Extractable,
        AttributeType::Sensitive,
        AttributeType::ValueLen,
    ];
    let attributes = session.get_attributes(key, &wanted).map_err(failed)?;
    let stays = attributes.contains(&Attribute::Extractable(false)) && attributes.contains(&Attribute::Sensitive(true));
    if !stays || !attributes.contains(&Attribute::ValueLen(32.into())) {
        let error = Error::new(
            ErrorKind::KeyNotUsable,
            "the HSM's key is not an AES-256 key that stays inside: CKA_SENSITIVE true, CKA_EXTRACTABLE false, CKA_VALUE_LEN 32",
        );
        return Err(error.with_hint("make one in the HSM: the manual says how").into());
    }
    Ok(key)
}

/// What a module's refusal means. Passing is what a new session may mend.
fn failed(error: Cryptoki) -> Failure {
    let Cryptoki::Pkcs11(code, _) = &error else {
        return Failure::Lasting(Error::new(ErrorKind::ProviderDown, "the PKCS#11 module fails").with_source(error));
    };
    let (kind, what, hint) = match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => (
            ErrorKind::NotAllowed,
            "the HSM's token refuses the PIN",
            "check the PIN; a few wrong ones lock the token",
        ),
        RvError::PinLocked | RvError::PinExpired => (
            ErrorKind::NotAllowed,
            "the PIN of the HSM's token is locked or has expired",
            "the security officer can set a new one",
        ),
        RvError::KeyFunctionNotPermitted | RvError::KeyTypeInconsistent => (
            ErrorKind::KeyNotUsable,
            "the HSM's key may not do this",
            "it needs CKA_ENCRYPT and CKA_DECRYPT, and the mechanism CKM_AES_GCM",
        ),
        RvError::MechanismInvalid | RvError::MechanismParamInvalid => (
            ErrorKind::KeyNotUsable,
            "the HSM does not know CKM_AES_GCM as we use it",
            "it needs a module with AES-GCM: a nonce of 12 bytes, a tag of 16",
        ),
        _ => (
            ErrorKind::ProviderDown,
            "the HSM fails",
            "check that it is connected and its client runs; then run this again",
        ),
    };
    let passing = matches!(
        code,
        RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::TokenNotPresent
            | RvError::UserNotLoggedIn
            | RvError::ObjectHandleInvalid
            | RvError::KeyHandleInvalid
            | RvError::CryptokiNotInitialized
    );
    let error = Error::new(kind, what).with_source(error).with_hint(hint);
    match passing {
        true => Failure::Passing(error),
        false => Failure::Lasting(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let place = |text: &str| Place::parse(&text.parse().unwrap());
        let parsed =
            place("pkcs11:token=my%20hsm;object=kek;id=%01%ff?module-path=/usr/lib/x.so&pin-source=file:/run/pin")
                .unwrap();
        assert_eq!(parsed.token.label.as_deref(), Some("my hsm"));
        assert_eq!(
            (parsed.object.as_deref(), parsed.id),
            (Some("kek"), Some(vec![1, 0xff]))
        );
        assert_eq!(parsed.module, Some("/usr/lib/x.so".into()));
        assert_eq!(parsed.pin_source, Some("/run/pin".into()));
        for bad in [
            "pkcs11:token=t",
            "pkcs11:object",
            "pkcs11:object=",
            "pkcs11:object=a;colour=red",
            "pkcs11:object=a?module=x",
        ] {
            let error = place(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadInput, "{bad}");
            assert!(!error.message().contains("1234"));
        }
    }
}

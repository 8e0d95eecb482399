//! Import of material that was made elsewhere (BYOK), wrapped for a key pair that serves once, within a day.
//!
//! ```text
//! wrapped = RSAES-OAEP (RFC 8017, section 7.1) with SHA-256 and MGF1 over SHA-256, no label,
//!           of the 32 bytes of the material
//! check   = KBKDF(material, "cipherform local kms check value v1", LP(file id, KMS key id), 16)
//! ```

use getrandom::SysRng;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Oaep, PrivateKey};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::history::record;
use super::ids::{ImportToken, LocalKeyId};
use super::info::{KmsKeyOrigin, LocalKeyInfo};
use super::local_kms::LocalKms;
use super::material::{NewMaterial, rsa};
use super::model::{ImportEntry, LocalKeyEntry, LocalKmsContent, MaterialEntry};
use crate::keys::{Base64, KmsKeyRef, KmsKeyState, Purpose, Reason, Timestamp, derive};
use crate::kms::local::key_policy::KmsAction;
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret};

/// Validity of import parameters, in days, as in AWS KMS.
const TOKEN_DAYS: u32 = 1;

/// Bits of the RSA key that material is wrapped with.
const WRAPPING_BITS: usize = 4096;

/// Bytes of the material of a symmetric key.
const MATERIAL: usize = 32;

/// The parameters of an import: the key to wrap material with, and a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportParameters {
    /// Public key, RSA: SubjectPublicKeyInfo (DER).
    pub public_key: Vec<u8>,
    /// Token that goes with the wrapped material: 32 hexadecimal digits.
    pub token: String,
    /// End of validity of both.
    pub valid_to: Timestamp,
}

impl LocalKms {
    /// Makes the parameters to import material into `key`. They serve once, within 24 hours, and replace earlier ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] if the key's material is local, or its state forbids it; [`ErrorKind::KeyNotFound`].
    pub fn parameters_for_import(&self, key: &KmsKeyRef) -> Result<ImportParameters> {
        // Checked before an RSA key is generated.
        expect_external(&self.key(key)?.origin, key)?;
        // Outside the lock: a key of 4,096 bits takes long to make.
        let pair = rsa(WRAPPING_BITS)?;
        let (token, valid_to) = (ImportToken::random()?, self.context.now().plus_days(TOKEN_DAYS));
        self.with_key(key, KmsAction::GetParametersForImport, |content, id, unlock_key| {
            // Under the lock, on the state of now.
            importable(content.key_mut(id)?)?;
            // The private half is sealed with the token in the place of a material id, so it cannot be
            // opened as material.
            let sealed = content.seal_material(id, token.pair_id(), &pair.secret, unlock_key)?;
            let entry = content.key_mut(id)?;
            entry.import = Some(ImportEntry {
                token,
                expires: valid_to,
                sealed: Base64(sealed),
            });
            record(entry, "get parameters for import", &self.context, None);
            Ok(())
        })?;
        Ok(ImportParameters {
            public_key: pair.public_key.unwrap_or_default(),
            token: token.to_string(),
            valid_to,
        })
    }

    /// Imports material that was wrapped with [`parameters_for_import`](Self::parameters_for_import). A key that had
    /// material takes only the same again. Material is erased at `valid_to`, if that is given.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the token is another one, or the bytes do not unwrap; [`ErrorKind::KeyNotUsable`]
    /// if the token has expired, the material is another one than before, or the key's state forbids it;
    /// [`ErrorKind::BadInput`] if it is not 32 bytes, or expires in the past.
    pub fn import_material(
        &self,
        key: &KmsKeyRef,
        wrapped: &[u8],
        token: &str,
        valid_to: Option<Timestamp>,
        reason: &Reason,
    ) -> Result<LocalKeyInfo> {
        let now = self.context.now();
        let token: ImportToken = token.trim().parse().map_err(|error: Error| {
            error.context("this is not an import token").with_hint(
                Hint::from("the token comes with the public key for import, and the material is the other file: ")
                    .then(Remedy::ImportMaterial(None)),
            )
        })?;
        if valid_to.is_some_and(|end| end <= now) {
            return Err(Error::bad_input("the material would already be expired"));
        }
        self.with_key(key, KmsAction::ImportKeyMaterial, |content, id, unlock_key| {
            let entry = content.key_mut(id)?;
            importable(entry)?;
            let secret = unwrapped(content, id, token, wrapped, now, unlock_key)?;
            let check = derive(
                secret.expose(),
                Purpose::LocalKmsCheck,
                &[content.id.as_bytes(), id.as_bytes()],
                16,
            )?
            .expose()
            .clone();
            let before = content.key_mut(id)?.material.first().cloned();
            if let Some(before) = before.as_ref().and_then(|before| before.check.as_ref())
                // In constant time: it is a function of a secret, and the caller chooses what it is
                // compared with.
                && !bool::from(before.0.ct_eq(&check))
            {
                return Err(Error::new(
                    ErrorKind::KeyNotUsable,
                    "this is not the material that the key had: what that wrapped would not unwrap",
                )
                .with_hint("import the same material again, or create another key for this one"));
            }
            // The id stays, so that what the material wrapped unwraps.
            let material = match before {
                Some(before) => {
                    let sealed = content.seal_material(id, before.id, &secret, unlock_key)?;
                    MaterialEntry {
                        sealed: Some(Base64(sealed)),
                        ..before
                    }
                }
                None => {
                    let material = NewMaterial {
                        secret,
                        public_key: None,
                    };
                    content.new_material(id, 1, now, &material, unlock_key)?
                }
            };
            let entry = content.key_mut(id)?;
            entry.material = vec![MaterialEntry {
                check: Some(Base64(check)),
                valid_to,
                ..material
            }];
            // Used up in the same write in which the material arrives: the token cannot be used again,
            // and the private half is gone.
            entry.import = None;
            let what = match valid_to {
                Some(end) => format!("import material, until {end}"),
                None => "import material".to_owned(),
            };
            record(entry, &what, &self.context, Some(reason));
            Ok(())
        })
    }

    /// Erases imported material at once. The key then waits for the same material.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] if the key's material is local; [`ErrorKind::KeyNotFound`].
    pub fn delete_imported_material(&self, key: &KmsKeyRef, reason: &Reason) -> Result<LocalKeyInfo> {
        self.with_key(key, KmsAction::DeleteImportedKeyMaterial, |content, id, _| {
            let entry = content.key_mut(id)?;
            expect_external(&entry.origin, key)?;
            // The check value stays, so that only the same material is taken again.
            entry.erase();
            record(entry, "delete imported material", &self.context, Some(reason));
            Ok(())
        })
    }
}

/// Unwraps material with the private key of `token`.
fn unwrapped(
    content: &LocalKmsContent,
    id: LocalKeyId,
    token: ImportToken,
    wrapped: &[u8],
    now: Timestamp,
    unlock_key: &Secret<Vec<u8>>,
) -> Result<Secret<Vec<u8>>> {
    let again = || Hint::from("wrap the material with new parameters: ").then(Remedy::ImportMaterial(None));
    let entry = content.keys.iter().find(|key| key.id == id);
    let Some(import) = entry
        .and_then(|entry| entry.import.as_ref())
        // Not in constant time: the token is no secret, it only names the key pair. Without the wrapped
        // material it does nothing.
        .filter(|import| import.token == token)
    else {
        return Err(Error::new(
            ErrorKind::WrongKey,
            "the import token is of another key, was used, or has been replaced by a newer one",
        )
        .with_hint(again()));
    };
    if import.expires <= now {
        let message = format!("the import token ended at {}, and the clock says {now}", import.expires);
        return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(again()));
    }
    let private_key = content.open_sealed(id, token.pair_id(), &import.sealed.0, unlock_key)?;
    let private_key = PrivateKey::from_pkcs8_der(private_key.expose())
        .map_err(|_| Error::bug("a wrapping key that is not as it was sealed"))?;
    // Blinded, and one error for every failure: telling failures of the padding apart is what Manger's
    // attack needs.
    let material = private_key.decrypt_blinded(&mut SysRng, Oaep::<Sha256>::new(), wrapped);
    let material = material.map(Secret::new).map_err(|_| {
        Error::new(ErrorKind::WrongKey, "the material does not unwrap").with_hint(
            "wrap it with the public key that came with this token, by RSA-OAEP with SHA-256 and MGF1 over SHA-256",
        )
    })?;
    match material.expose().len() {
        MATERIAL => Ok(material),
        other => Err(
            Error::bad_input(format!("the material has {other} bytes, not {MATERIAL}"))
                .with_hint("make it: openssl rand -out material.bin 32"),
        ),
    }
}

fn importable(key: &LocalKeyEntry) -> Result<()> {
    match key.state {
        KmsKeyState::Enabled | KmsKeyState::Disabled => Ok(()),
        state => Err(Error::new(
            ErrorKind::KeyNotUsable,
            format!("KMS key `{}` is {state}: it takes no material", key.name),
        )),
    }
}

fn expect_external(origin: &KmsKeyOrigin, key: &KmsKeyRef) -> Result<()> {
    match origin {
        KmsKeyOrigin::External => Ok(()),
        KmsKeyOrigin::Local => Err(Error::new(
            ErrorKind::KeyNotUsable,
            format!("the material of KMS key `{key}` is local"),
        )
        .with_hint(Remedy::CreateKmsKey {
            spec: None,
            external: true,
        })),
    }
}

//! Tokens in files.

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::settings::BadSetting;

/// A longer one is none.
const LONGEST: u64 = 8 * 1024;

/// A file's text without the space around it.
pub(crate) fn read(file: &Path) -> Result<Zeroizing<String>, BadSetting> {
    let bad = |why: String| BadSetting::File {
        file: file.display().to_string(),
        why,
    };
    let mut text = Zeroizing::new(String::new());
    let opened = std::fs::File::open(file).map_err(|why| bad(why.to_string()))?;
    let mut some = opened.take(LONGEST + 1);
    let read = some.read_to_string(&mut text);
    let read = read.map_err(|why| bad(why.to_string()))?;
    if read as u64 > LONGEST {
        return Err(bad(format!("a token has at most {LONGEST} bytes")));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

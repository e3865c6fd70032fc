//! The safetensors format (Hugging Face, 2022), written so that a crash leaves the old file or the new one.
use crate::cpu::View;
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::tensor::Tensor;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

fn system(path: &Path, e: std::io::Error) -> TensorError {
    TensorError::File { path: path.display().to_string().into(), what: e.to_string(), kind: e.kind() }
}

fn damaged(path: &Path, what: impl ToString) -> TensorError {
    TensorError::Format { path: path.display().to_string(), what: what.to_string() }
}

fn format_dtype(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::Bool => Dtype::BOOL,
        DType::U8 => Dtype::U8,
        DType::U16 => Dtype::U16,
        DType::U32 => Dtype::U32,
        DType::U64 => Dtype::U64,
        DType::I8 => Dtype::I8,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::C64 | DType::C128 => return None,
    })
}

fn own_dtype(dtype: Dtype) -> Option<DType> {
    DType::ALL.into_iter().find(|d| format_dtype(*d) == Some(dtype))
}

fn bytes(t: &Tensor) -> Result<Vec<u8>> {
    let _lock = t.storage().read();
    // SAFETY: the lock is held for the copy.
    let view = unsafe { View::new(t.storage().as_ptr(), t.layout(), t.dtype()) };
    crate::storage_type!(t.dtype(), T => {
        let elements = view.to_slice::<T>()?;
        // SAFETY: elements are plain data, read as their bytes.
        Ok(unsafe { std::slice::from_raw_parts(elements.as_ptr().cast::<u8>(), size_of_val(&*elements)) }.to_vec())
    })
}

/// Removes a temporary file that did not become the file.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Writes named tensors and texts: to a temporary file beside the target, synced, then renamed.
///
/// # Errors
/// For complex tensors, which the format does not know, and what the system says.
pub fn save_safetensors(path: &Path, tensors: &[(String, Tensor)], texts: HashMap<String, String>) -> Result<()> {
    let data = tensors.iter().map(|(_, t)| bytes(t)).collect::<Result<Vec<_>>>()?;
    let mut views = vec![];
    for ((name, t), bytes) in tensors.iter().zip(&data) {
        let Some(dtype) = format_dtype(t.dtype()) else {
            return Err(TensorError::unsupported("save_safetensors", format!("dtype {}", t.dtype())));
        };
        let view = TensorView::new(dtype, t.shape().to_vec(), bytes).map_err(|e| damaged(path, e))?;
        views.push((name.clone(), view));
    }
    let texts = if texts.is_empty() { None } else { Some(texts) };
    let content = safetensors::serialize(views, texts).map_err(|e| damaged(path, e))?;
    write_atomically(path, &content).map_err(|e| system(path, e))
}

fn write_atomically(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| std::io::Error::other("the path names no file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.{:x}.tmp", std::process::id(), content.as_ptr() as usize));
    let temporary = folder.join(temporary);
    let mut guard = Temporary(Some(temporary.clone()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&temporary, path)?;
    guard.0 = None;
    // The name is in the folder, which has to reach the disk as well; not every system lets a folder be opened.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all()?;
    }
    Ok(())
}

/// Tensors and texts by name.
pub type Named = (Vec<(String, Tensor)>, HashMap<String, String>);

/// Reads named tensors and texts.
///
/// # Errors
/// If the file is not there, or not in the format.
pub fn load_safetensors(path: &Path) -> Result<Named> {
    let content = std::fs::read(path).map_err(|e| system(path, e))?;
    let (_, metadata): (usize, Metadata) = SafeTensors::read_metadata(&content).map_err(|e| damaged(path, e))?;
    let file = SafeTensors::deserialize(&content).map_err(|e| damaged(path, e))?;
    let mut tensors = vec![];
    for (name, view) in file.tensors() {
        let Some(dtype) = own_dtype(view.dtype()) else {
            return Err(damaged(path, format!("tensor '{name}' has the dtype {:?}, which is not there", view.dtype())));
        };
        let t = Tensor::empty(view.shape(), dtype)?;
        let data = view.data();
        if data.len() != t.storage().len() {
            return Err(damaged(path, format!("tensor '{name}' has {} bytes, not {}", data.len(), t.storage().len())));
        }
        if dtype == DType::Bool && data.iter().any(|&b| b > 1) {
            return Err(damaged(path, format!("tensor '{name}' holds a bool that is neither 0 nor 1")));
        }
        // SAFETY: new, of this size, and nobody else has it.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), t.storage().as_ptr(), data.len()) };
        tensors.push((name, t));
    }
    Ok((tensors, metadata.metadata().clone().unwrap_or_default()))
}

//! Programs of ours and CLIs of agents, copied into containers whose images we do not know.
//!
//! An image with CLIs has `NAME/LOADER/NAME` for each build of one, where LOADER is the file name of the dynamic loader
//! that the build asks for: the image in which it is to run has it, or has not.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Where images have their dynamic loaders.
const LOADERS: [&str; 2] = ["/lib", "/lib64"];

/// Copies this program, Worktrunk's command if it stands beside it, for approved hooks, and the git configuration of the
/// containers: volumes belong to the kubelet's user, which git would distrust.
///
/// # Errors
/// When the folder cannot be written.
pub fn executor(folder: &Path) -> io::Result<()> {
    let executor = std::env::current_exe()?;
    program(&executor, &folder.join("loop-exec"))?;
    let worktrunk = executor.with_file_name("wt");
    if worktrunk.exists() {
        program(&worktrunk, &folder.join("wt"))?;
    }
    fs::write(folder.join("gitconfig"), "[safe]\n\tdirectory = *\n")
}

/// Writes down which dynamic loaders this image has, for [`agents`], which runs in another.
///
/// # Errors
/// When the file cannot be written.
pub fn note_loaders(file: &Path) -> io::Result<()> {
    let entries = LOADERS.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut loaders: Vec<String> = names.filter(|name| name.starts_with("ld-")).collect();
    loaders.sort();
    loaders.dedup();
    fs::write(file, loaders.join("\n"))
}

/// Copies from an image with CLIs, for each of them, the build that runs where the noted loaders are.
///
/// # Errors
/// A sentence, when there is none for a CLI, or it cannot be copied.
pub fn agents(from: &Path, loaders: &Path, to: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let noted = fs::read_to_string(loaders).map_err(|error| failed(loaders, error))?;
    fs::create_dir_all(to).map_err(|error| failed(to, error))?;
    for name in names(from).map_err(|error| failed(from, error))? {
        let builds = names(&from.join(&name)).map_err(|error| failed(&from.join(&name), error))?;
        let Some(build) = builds.iter().find(|build| noted.lines().any(|loader| loader == *build)) else {
            let there = if noted.is_empty() { "none".to_owned() } else { noted.replace('\n', ", ") };
            return Err(format!(
                "ToolchainIncomplete: no build of {name} runs in the image of the agent: they ask for the dynamic loader {}, \
                 and the image has {there}; name another image with spec.agent.image, or \
                 an agent that needs none with spec.agent.adapter",
                builds.join(" or ")
            ));
        };
        let source = from.join(&name).join(build).join(&name);
        program(&source, &to.join(&name)).map_err(|error| failed(&source, error))?;
    }
    Ok(())
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<String> =
        fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Copies a program: beside it and then moved, so that what is there is whole.
fn program(from: &Path, to: &Path) -> io::Result<()> {
    let new = to.with_extension("new");
    fs::copy(from, &new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(&new, to)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    #[test]
    fn the_build_for_the_images_loader_is_copied_and_an_image_without_one_is_told() {
        let place = tempfile::tempdir().unwrap();
        let (from, to, loaders) =
            (place.path().join("agents"), place.path().join("bin"), place.path().join("loaders"));
        for loader in ["ld-linux-x86-64.so.2", "ld-musl-x86_64.so.1"] {
            let folder = from.join("claude").join(loader);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("claude"), loader).unwrap();
        }
        for loader in ["ld-musl-x86_64.so.1", "ld-linux-x86-64.so.2"] {
            fs::write(&loaders, format!("ld-other.so\n{loader}")).unwrap();
            agents(&from, &loaders, &to).unwrap();
            assert_eq!(fs::read_to_string(to.join("claude")).unwrap(), loader);
            assert_eq!(to.join("claude").metadata().unwrap().permissions().mode() & 0o777, 0o755);
        }
        assert_eq!(names(&to).unwrap(), ["claude"], "nothing half copied stays");
        fs::write(&loaders, "").unwrap();
        let said = agents(&from, &loaders, &to).unwrap_err();
        let words = "they ask for the dynamic loader ld-linux-x86-64.so.2 or ld-musl-x86_64.so.1, and the image has none;";
        assert!(
            said.starts_with("ToolchainIncomplete: no build of claude") && said.contains(words),
            "{said}"
        );
    }

    #[test]
    fn the_loaders_of_this_machine_are_noted() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("loaders");
        note_loaders(&file).unwrap();
        let noted = fs::read_to_string(file).unwrap();
        assert!(
            noted.lines().any(|name| name.starts_with("ld-linux") || name.starts_with("ld-musl")),
            "{noted}"
        );
    }
}

//! What the environment of a program can do to it.

/// Variables that have a program run other code than its own, or that its tools take commands and
/// settings from. Of those that begin with one of [`BEGIN_STEERING`] the rest does not matter.
const STEERING: [&str; 48] = [
    "ALL_PROXY",
    "AWKLIBPATH",
    "AWKPATH",
    "BASHOPTS",
    "CDPATH",
    "CLASSPATH",
    "CURL_HOME",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GETCONF_DIR",
    "HOME",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LOCPATH",
    "MAKEFLAGS",
    "MALLOC_TRACE",
    "MANPAGER",
    "NLSPATH",
    "PAGER",
    "PATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "R_ENVIRON",
    "R_PROFILE",
    "SHELL",
    "SHELLOPTS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TAR_OPTIONS",
    "TERMINFO",
    "VISUAL",
    "WGETRC",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
    "all_proxy",
    "http_proxy",
    "https_proxy",
];
const BEGIN_STEERING: [&str; 9] =
    ["BASH_", "GIT_", "LUA_", "NODE_", "OPENSSL_", "PERL", "PYTHON", "RUBY", "XDG_"];

/// Whether the dynamic loader or the C library hears the variable before the program does
/// (`ld.so(8)`): it can put any code into any program.
#[must_use]
pub fn is_for_the_loader(variable: &str) -> bool {
    variable.starts_with("LD_") || variable == "GLIBC_TUNABLES"
}

/// Whether the variable is known to have programs run code or commands that somebody else names, or
/// read their settings elsewhere: `BASH_ENV`, `PYTHONPATH`, `CURL_HOME` and many more. That one is
/// not known says nothing.
#[must_use]
pub fn is_steering(variable: &str) -> bool {
    STEERING.contains(&variable) || BEGIN_STEERING.iter().any(|it| variable.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_program_is_known() {
        for name in ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_X", "GLIBC_TUNABLES"] {
            assert!(is_for_the_loader(name), "{name}");
        }
        for name in [
            "BASH_ENV",
            "ENV",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "NODE_OPTIONS",
            "GCONV_PATH",
            "RUBYOPT",
            "CURL_HOME",
            "PATH",
            "BASH_FUNC_ls%%",
            "GIT_SSH_COMMAND",
        ] {
            assert!(is_steering(name) && !is_for_the_loader(name), "{name}");
        }
        for name in ["LANG", "LC_ALL", "TZ", "NO_COLOR", "OLD_", "ld_preload"] {
            assert!(!is_steering(name) && !is_for_the_loader(name), "{name}");
        }
        assert!(STEERING.is_sorted());
    }
}

//! `nyx token`: mint, list, inspect and revoke.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;
use nyx_protocol::topic::Pattern;
use serde_json::json;

use super::book::TOKEN_BYTES_MAX;
use super::file::{Entry, PATTERNS_MAX, Revoked, Time};
use super::jwt::{Algo, Claims, Grant, Signer};
use super::secret::{Id, Secret};
use super::store;
use crate::connect::Credentials;
use crate::exit::{Failure, Outcome};
use crate::tell;

/// Mint, list, inspect and revoke tokens.
///
/// A hub that is told of a token file (`auth.tokens` in its configuration) follows it: what is minted is good, and what is
/// revoked is worthless, within a second, in the middle of sessions too.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Mint(Mint),
    /// Show the tokens of a file
    List {
        #[command(flatten)]
        store: Store,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    Inspect(Inspect),
    Revoke(Revoke),
}

/// Which token file.
#[derive(clap::Args)]
struct Store {
    /// The token file
    #[arg(long = "tokens", value_name = "FILE", default_value = "tokens.toml")]
    path: PathBuf,
}

/// Make a token, and print it. It is shown this once: the file keeps its hash alone.
#[derive(clap::Args)]
struct Mint {
    #[command(flatten)]
    store: Store,
    /// What its bearer is called in logs and lists
    #[arg(long, default_value = "")]
    name: String,
    /// Topics that its bearer may publish, such as 'camera/3/**'; may be repeated
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<Pattern>,
    /// Topics that its bearer may read; '$nyx/**' are the hub's figures, the console and /metrics; may be repeated
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<Pattern>,
    /// All topics, both ways, the hub's figures, and its switches
    #[arg(long, conflicts_with_all = ["publish", "subscribe"])]
    all: bool,
    /// When it ends, such as 12h or 90d [default: never; of a JWT: 1h]
    #[arg(long, value_name = "TIME")]
    expires: Option<humantime::Duration>,
    /// Sign a JWT with the key in this file instead; the token file is left alone
    #[arg(long, value_name = "FILE")]
    jwt_key: Option<PathBuf>,
    #[command(flatten)]
    jwt: Jwt,
    /// As JSON, with its id
    #[arg(long)]
    json: bool,
}

/// What a JWT says besides.
#[derive(clap::Args)]
struct Jwt {
    /// How it is signed: EdDSA or HS256
    #[arg(long, requires = "jwt_key", default_value = "EdDSA")]
    algorithm: Algo,
    /// The issuer that it names
    #[arg(long, requires = "jwt_key")]
    issuer: Option<String>,
    /// The audience that it names
    #[arg(long, requires = "jwt_key")]
    audience: Option<String>,
    /// The key's name in its header
    #[arg(long, requires = "jwt_key")]
    kid: Option<String>,
}

/// Say what a token is: of a secret, what the file has about it; of a JWT, what it says, which is not verified.
///
/// The token is read from --token-file, NYX_TOKEN, or else from stdin.
#[derive(clap::Args)]
struct Inspect {
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    credentials: Credentials,
}

/// Make a token worthless.
#[derive(clap::Args)]
struct Revoke {
    #[command(flatten)]
    store: Store,
    /// The token's id, as `nyx token list` shows it
    #[arg(value_name = "ID", required_unless_present = "jti")]
    id: Option<Id>,
    /// The id (`jti`) of a JWT
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    jti: Option<String>,
    /// When the JWT expires by itself, after which its revocation can be forgotten, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME", requires = "jti")]
    until: Option<Time>,
}

pub(crate) fn run(args: Args) -> Outcome {
    let now = super::now();
    match args.command {
        Command::Mint(mint) => match &mint.jwt_key {
            Some(key) => sign(&mint, key, now),
            None => create(&mint, now),
        },
        Command::List { store, json } => list(&store.path, json, now),
        Command::Inspect(inspect) => self::inspect(&inspect),
        Command::Revoke(revoke) => self::revoke(&revoke, now),
    }
}

impl Mint {
    fn patterns(&self) -> Outcome<[Vec<Pattern>; 2]> {
        if self.all {
            let pattern = |text| Pattern::new(text).map_err(Failure::usage);
            let all = || Ok::<_, Failure>(vec![pattern("**")?, pattern("$nyx/**")?]);
            return Ok([all()?, all()?]);
        }
        if self.publish.is_empty() && self.subscribe.is_empty() {
            return Err(Failure::usage(anyhow!(
                "a token that allows nothing is of no use: say --publish, --subscribe or --all"
            )));
        }
        Ok([self.publish.clone(), self.subscribe.clone()])
    }

    /// Tells a token on stdout, alone on its line, and what it is on stderr.
    fn tell(&self, id: &str, token: &str, expires: Option<Time>) -> Outcome {
        let expires = expires.map(|time| time.to_string());
        if self.json {
            let told = json!({ "id": id, "token": token, "expires": expires });
            return tell::print(format!("{told}\n"));
        }
        let until = expires.map_or_else(|| "until it is revoked".to_owned(), |time| format!("until {time}"));
        tell::note(format_args!("token {id}, good {until}; it is shown this once:"));
        tell::print(format!("{token}\n"))
    }
}

fn create(mint: &Mint, now: SystemTime) -> Outcome {
    let [publish, subscribe] = mint.patterns()?;
    let secret = Secret::generate()?;
    let expires = mint.expires.map(|lasts| end(now, lasts.into())).transpose()?;
    let entry = Entry {
        id: secret.id().clone(),
        name: mint.name.clone(),
        sha256: secret.hash(),
        publish,
        subscribe,
        created: Some(Time(now)),
        expires,
    };
    store::change(&mint.store.path, now, |file| {
        file.tokens.push(entry);
        Ok(())
    })?;
    mint.tell(secret.id().as_str(), secret.expose(), expires)
}

/// When a token ends that lasts so long. Its end is told to the second.
fn end(now: SystemTime, lasts: Duration) -> Outcome<Time> {
    let end = if lasts < Duration::from_secs(1) { None } else { Time::after(now, lasts) };
    end.ok_or_else(|| {
        Failure::usage(anyhow!(
            "a token lasts for 1s at least, and until the year 9999 at most: see --expires"
        ))
    })
}

/// How long a JWT lasts unless one says: it can't be taken back as easily.
const JWT_LASTS: Duration = Duration::from_secs(3600);

fn sign(mint: &Mint, key: &Path, now: SystemTime) -> Outcome {
    let [publish, subscribe] = mint.patterns()?;
    let key_file = std::fs::read(key).with_context(|| format!("can't read {}", key.display()))?;
    let signer = Signer::new(mint.jwt.algorithm, &key_file).with_context(|| key.display().to_string())?;
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires = end(now, mint.expires.map_or(JWT_LASTS, Duration::from))?;
    let texts = |patterns: Vec<Pattern>| patterns.iter().map(ToString::to_string).collect();
    let id = Secret::generate()?.id().to_string();
    let claims = Claims {
        sub: (!mint.name.is_empty()).then(|| mint.name.clone()),
        jti: Some(id.clone()),
        iss: mint.jwt.issuer.clone(),
        aud: mint.jwt.audience.clone().map(Into::into),
        exp: seconds(expires.0) as f64,
        nbf: Some(seconds(now) as f64),
        nyx: Grant { publish: texts(publish), subscribe: texts(subscribe) },
    };
    let token = signer.sign(&claims, mint.jwt.kid.clone()).context("the JWT can't be signed")?;
    if claims.nyx.patterns().is_err() || token.len() > TOKEN_BYTES_MAX {
        return Err(Failure::usage(anyhow!(
            "no hub would take it: a JWT has at most {PATTERNS_MAX} patterns each way and {TOKEN_BYTES_MAX} bytes; use wildcards"
        )));
    }
    mint.tell(&id, &token, Some(expires))
}

fn list(path: &Path, as_json: bool, now: SystemTime) -> Outcome {
    let file = store::load(path)?;
    let mut out = String::new();
    for entry in &file.tokens {
        if as_json {
            writeln!(out, "{}", described(entry))?;
            continue;
        }
        let Entry { id, name, publish, subscribe, expires, .. } = entry;
        let until = match expires {
            Some(time) if time.0 <= now => format!("expired {time}"),
            Some(time) => format!("until {time}"),
            None => "for good".to_owned(),
        };
        writeln!(out, "{id}  {until}  {}\n{}", tell::plain(name), reach(publish, subscribe))?;
    }
    for Revoked { jti, until } in &file.revoked {
        match (as_json, until) {
            (true, until) => {
                writeln!(out, "{}", json!({ "revoked": jti, "until": until.map(|time| time.to_string()) }))?
            }
            (false, Some(until)) => writeln!(out, "revoked JWT {}  until {until}", tell::plain(jti))?,
            (false, None) => writeln!(out, "revoked JWT {}", tell::plain(jti))?,
        }
    }
    tell::print(out)
}

fn reach(publish: &[Pattern], subscribe: &[Pattern]) -> String {
    let line = |what: &str, patterns: &[Pattern]| {
        let list: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
        match &list[..] {
            [] => format!("    {what} nothing"),
            _ => format!("    {what} {}", tell::plain(&list.join(" "))),
        }
    };
    format!("{}\n{}", line("publishes", publish), line("reads", subscribe))
}

fn described(entry: &Entry) -> serde_json::Value {
    let texts = |patterns: &[Pattern]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    json!({
        "id": entry.id.as_str(),
        "name": entry.name,
        "publish": texts(&entry.publish),
        "subscribe": texts(&entry.subscribe),
        "created": time(entry.created),
        "expires": time(entry.expires),
    })
}

fn inspect(inspect: &Inspect) -> Outcome {
    let token = match inspect.credentials.token()? {
        Some(token) => token.expose().to_owned(),
        None => {
            let mut text = String::new();
            std::io::stdin().take(64 * 1024).read_to_string(&mut text).context("can't read stdin")?;
            text.trim().to_owned()
        }
    };
    let told = match Secret::parse(&token) {
        Some(secret) => of_secret(&secret, &inspect.store.path)?,
        None => of_jwt(&token)?,
    };
    tell::print(format!("{told:#}\n"))
}

fn of_secret(secret: &Secret, path: &Path) -> anyhow::Result<serde_json::Value> {
    if !path.exists() {
        return Ok(json!({ "id": secret.id().as_str(), "file": null }));
    }
    let file = store::load(path)?;
    let entry = file.tokens.iter().find(|entry| entry.id == *secret.id());
    let entry = entry.filter(|entry| entry.sha256.is_of(secret));
    match entry {
        Some(entry) => Ok(described(entry)),
        None => {
            bail!("token {} is not in {}: it was revoked, or is another hub's", secret.id(), path.display())
        }
    }
}

fn of_jwt(token: &str) -> anyhow::Result<serde_json::Value> {
    let told: anyhow::Result<_> = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(token)
        .map_err(|error| anyhow!("this is neither a secret, which begins with `nyx_`, nor a JWT: {error}"));
    let told = told?;
    Ok(json!({ "verified": false, "header": told.header, "claims": told.claims }))
}

fn revoke(revoke: &Revoke, now: SystemTime) -> Outcome {
    let path = &revoke.store.path;
    if revoke.id.is_some() && !path.exists() {
        return Err(Failure::usage(anyhow!("there is no token file {}: say --tokens FILE", path.display())));
    }
    if let Some(until) = revoke.until
        && until.0 <= now
    {
        return Err(Failure::usage(anyhow!(
            "{until} has passed, and a revocation is forgotten when its time is over: say when the JWT expires, or leave --until out"
        )));
    }
    let told = store::change(path, now, |file| {
        if let Some(jti) = &revoke.jti {
            file.revoked.retain(|revoked| revoked.jti != *jti);
            file.revoked.push(Revoked { jti: jti.clone(), until: revoke.until });
            return Ok(format!("JWT {jti}"));
        }
        let before = file.tokens.len();
        file.tokens.retain(|entry| revoke.id.as_ref() != Some(&entry.id));
        let id = revoke.id.as_ref().map_or("", Id::as_str);
        if file.tokens.len() == before {
            bail!("there is no token {id} in {}: see `nyx token list`", path.display());
        }
        Ok(format!("token {id}"))
    })?;
    tell::note(format_args!("{told} is revoked; a hub that follows {} takes it no more", path.display()));
    Ok(())
}

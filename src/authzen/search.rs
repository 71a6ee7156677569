//! Searches.

use countersign_decision::{Found, Search};
use serde::Serialize;

use crate::evaluate::Asking;
use crate::json::{Page, Request};
use crate::mapping::{Asked, SUBJECT_TYPES};
use crate::page;
use crate::refused::Refused;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Subject,
    Resource,
    Action,
}

/// The answer to a search.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    page: PageOf,
    results: Vec<ResultOf>,
}

#[derive(Debug, Serialize)]
struct PageOf {
    /// Empty at the end.
    next_token: String,
    count: usize,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ResultOf {
    Entity {
        #[serde(rename = "type")]
        kind: String,
        id: String,
    },
    Action {
        name: String,
    },
}

impl Asking<'_> {
    /// A page of what would be allowed.
    ///
    /// # Errors
    /// It can't be read, or the caller may not search.
    pub(crate) async fn search(
        self,
        wanted: Wanted,
        request: &Request<'_>,
        max_results: usize,
    ) -> Result<Results, Refused> {
        if !self.caller.vouches {
            // Nobody shows a certificate in a search.
            return Err(Refused::forbidden("this caller may not search"));
        }
        let asked = Asked::whole(request);
        let kind = match wanted {
            Wanted::Subject => asked.subject_kind()?,
            Wanted::Resource => asked.resource_kind()?,
            Wanted::Action => "",
        };
        let mut search = self.searched(wanted, asked)?;
        let (after, limit) = begins(request, |token| page::read(self.caller, &search, token))?;
        search.limit = limit.map_or(max_results, |it| it.min(max_results));
        let found = if search.limit == 0 {
            // It wants none, and where it would go on.
            Found {
                next: Some(after.unwrap_or_default()),
                ..Found::default()
            }
        } else if wanted == Wanted::Subject && !SUBJECT_TYPES.contains(&kind) {
            Found::default()
        } else {
            search.after = after.filter(|it| !it.is_empty());
            self.point.search(self.caller, search.clone()).await
        };
        let next = found.next.as_deref();
        let next = next.map(|it| page::token(self.caller, &search, it));
        Ok(Results {
            page: PageOf {
                next_token: next.unwrap_or_default(),
                count: found.results.len(),
            },
            results: results(wanted, kind, found.results),
        })
    }

    fn searched(self, wanted: Wanted, asked: Asked<'_, '_>) -> Result<Search, Refused> {
        let action = match wanted {
            Wanted::Action => None,
            Wanted::Subject | Wanted::Resource => Some(asked.action()?),
        };
        let agent = match wanted {
            Wanted::Subject => None,
            Wanted::Resource | Wanted::Action => Some(asked.subject()?.to_owned()),
        };
        let (resource, resource_kind) = match wanted {
            Wanted::Resource => (None, Some(asked.resource_kind()?.to_owned())),
            Wanted::Subject | Wanted::Action => (Some(asked.resource(action.as_ref())?), None),
        };
        let context = asked.context(action.as_ref(), self.request_id)?;
        Ok(Search {
            agent,
            action: action.map(|it| it.name.to_owned()),
            resource,
            resource_kind,
            authority: context.authority,
            call: context.call,
            after: None,
            limit: 0,
        })
    }
}

/// Where the page begins, and the most that are wanted of it.
fn begins(
    request: &Request<'_>,
    read: impl Fn(&str) -> Result<String, Refused>,
) -> Result<(Option<String>, Option<usize>), Refused> {
    let Some(page) = request.page.optional("page")? else {
        return Ok((None, None));
    };
    let page: &Page<'_> = page;
    page.properties.optional("page.properties")?;
    let limit = page.limit.optional("page.limit")?;
    let limit = limit.map(|it| usize::try_from(*it).unwrap_or(usize::MAX));
    // An empty token is that of the last page: whoever sends it begins again.
    let token = page.token.optional("page.token")?;
    let token = token.filter(|it| !it.is_empty());
    Ok((token.map(|it| read(it)).transpose()?, limit))
}

fn results(wanted: Wanted, kind: &str, found: Vec<String>) -> Vec<ResultOf> {
    let result = |it| match wanted {
        Wanted::Subject | Wanted::Resource => ResultOf::Entity {
            kind: kind.to_owned(),
            id: it,
        },
        Wanted::Action => ResultOf::Action { name: it },
    };
    found.into_iter().map(result).collect()
}

//! Accounts with a browser session.

use serde_json::json;
use storyden_auth::clock::Timestamp;
use storyden_auth::http::member::session;
use storyden_auth::ids::{AccountId, RoleId};
use storyden_auth::oauth::permission::PermissionSet;
use storyden_auth::store::accounts;
use storyden_auth::store::new_accounts::{self, NewAccount, NewEmail};
use storyden_auth::store::roles::{self, Role};

use super::answer::Answer;
use super::client::Client;
use super::server::Server;

/// A signed-in account.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: AccountId,
    pub(crate) handle: String,
    /// Value of the session cookie.
    pub(crate) session: String,
}

/// Password of every account.
pub(crate) const PASSWORD: &str = "correct horse battery";

impl Server {
    /// Creates an administrator.
    pub(crate) async fn admin(&self, handle: &str) -> Member {
        self.account(handle, true, &[]).await
    }

    /// Creates a member who may authorize clients, with additional permissions.
    pub(crate) async fn member(&self, handle: &str, permissions: &[&str]) -> Member {
        let permissions: Vec<&str> = permissions
            .iter()
            .copied()
            .chain(["USE_OAUTH_CLIENTS"])
            .collect();
        self.account(handle, false, &permissions).await
    }

    /// Creates a member with the default permissions.
    pub(crate) async fn plain_member(&self, handle: &str) -> Member {
        self.account(handle, false, &[]).await
    }

    async fn account(&self, handle: &str, admin: bool, permissions: &[&str]) -> Member {
        let now = self.clock.now();
        let password = storyden_auth::secret::Secret::new(PASSWORD);
        let mut name = handle.to_owned();
        name[..1].make_ascii_uppercase();
        let new = NewAccount {
            id: AccountId::generate(now),
            handle: handle.to_owned(),
            name,
            admin,
            email: Some(NewEmail::without_verification(
                format!("{handle}@example.com"),
                true,
                &self.context.random,
            )),
            password_hash: Some(self.context.passwords.hash(&password).await.unwrap()),
        };
        let role = (!permissions.is_empty()).then(|| Role {
            id: RoleId::generate(now),
            name: format!("role of {handle}"),
            permissions: PermissionSet::from_names(permissions.iter().copied()),
        });
        let id = new.id.clone();
        insert(self, new, role, now).await;
        let (session, _) = session::begin(&self.context, &id).await.unwrap();
        Member {
            id,
            handle: handle.to_owned(),
            session: session.reveal().to_owned(),
        }
    }

    /// Removes every role of a member.
    pub(crate) async fn demote(&self, member: &Member) {
        self.sql(
            "DELETE FROM account_roles WHERE account_id = $1",
            &[member.id.as_str()],
        )
        .await;
    }

    /// Removes all permissions of a member's role except USE_OAUTH_CLIENTS.
    pub(crate) async fn remove_permissions_except_use_clients(&self, member: &Member) {
        let sql = "UPDATE roles SET permissions = '[\"USE_OAUTH_CLIENTS\"]' WHERE name = $1";
        let role = format!("role of {}", member.handle);
        assert_eq!(self.sql(sql, &[&role]).await, 1);
    }

    /// Suspends a member.
    pub(crate) async fn suspend(&self, member: &Member) {
        let (handle, now) = (member.handle.clone(), self.clock.now());
        self.context
            .db
            .write((handle, now), |tx, (handle, now)| {
                Box::pin(accounts::set_suspended(tx, handle, Some(*now), *now))
            })
            .await
            .unwrap();
    }

    /// Ends a suspension.
    pub(crate) async fn reinstate(&self, member: &Member) {
        let sql = "UPDATE accounts SET deleted_at = NULL WHERE id = $1";
        assert_eq!(self.sql(sql, &[member.id.as_str()]).await, 1);
    }

    /// Sends a `GET` with a session.
    pub(crate) async fn get_as(&self, member: &Member, path: &str) -> Answer {
        self.send(self.request("GET", path).header("cookie", member.cookie()))
            .await
    }

    /// Sends a `POST` of JSON with a session.
    pub(crate) async fn post_as(
        &self,
        member: &Member,
        path: &str,
        body: &serde_json::Value,
    ) -> Answer {
        self.send(
            self.request("POST", path)
                .header("cookie", member.cookie())
                .json(body),
        )
        .await
    }

    /// Sends the authorization request of a client with changed parameters; `""` removes a parameter.
    pub(crate) async fn authorize(
        &self,
        member: Option<&Member>,
        client: &Client,
        changed: &[(&str, &str)],
    ) -> Answer {
        let query = client.authorization_request(changed);
        self.send(self.authorize_query(member, &query)).await
    }

    /// Starts an authorization request that asks for the consent page, regardless of a remembered approval,
    /// and returns the id of the pending request.
    pub(crate) async fn pending(
        &self,
        member: &Member,
        client: &Client,
        changed: &[(&str, &str)],
    ) -> String {
        let asked = [&[("prompt", "consent")], changed].concat();
        let answer = self
            .authorize(Some(member), client, &asked)
            .await
            .expect(302);
        answer
            .sent("request_id")
            .unwrap_or_else(|| panic!("{:?}", answer.location()))
    }

    /// Decides a pending request.
    pub(crate) async fn decide(&self, member: &Member, request_id: &str, decision: &str) -> Answer {
        let body = json!({ "request_id": request_id, "decision": decision });
        self.post_as(member, "/api/oauth/authorize/consent", &body)
            .await
    }

    /// Runs the code flow up to the approval, and returns the code.
    pub(crate) async fn code(
        &self,
        member: &Member,
        client: &Client,
        changed: &[(&str, &str)],
    ) -> String {
        let request_id = self.pending(member, client, changed).await;
        self.decide(member, &request_id, "approve")
            .await
            .expect(200)
            .sent("code")
            .unwrap()
    }

    /// Runs the code flow, and returns the token response.
    pub(crate) async fn tokens(
        &self,
        member: &Member,
        client: &Client,
        changed: &[(&str, &str)],
    ) -> Answer {
        let code = self.code(member, client, changed).await;
        self.exchange(client, &code).await.expect(200)
    }
}

async fn insert(server: &Server, new: NewAccount, role: Option<Role>, now: Timestamp) {
    server
        .context
        .db
        .write((new, role, now), |tx, (new, role, now)| {
            Box::pin(async move {
                new_accounts::insert(tx, new, *now).await?;
                if let Some(role) = role {
                    roles::save(tx, role, *now).await?;
                    roles::assign(tx, &new.id, &role.id, *now).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
}

impl Answer {
    /// Returns the code of a redirect to the client: a remembered approval answered the request.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.status, 302, "{:?} {}", self.headers, self.body);
        self.sent("code")
            .unwrap_or_else(|| panic!("no code in {}", self.location()))
    }
}

impl Member {
    /// Returns the `Cookie` header of the session.
    pub(crate) fn cookie(&self) -> String {
        format!("storyden-session={}", self.session)
    }
}

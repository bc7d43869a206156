// Notes: a page that reads and writes one table. Its settings come from a ConfigMap (a mounted file that is read again
// at every request, so that a change shows without a restart), its password from a Secret (an environment variable).
"use strict";
const fs = require("fs");
const http = require("http");
const os = require("os");
const { Pool } = require("pg");

const SETTINGS = process.env.SETTINGS_FILE || "/etc/notes/settings.json";
const pool = new Pool({ max: 4, connectionTimeoutMillis: 3000 }); // PGHOST, PGUSER, PGPASSWORD, PGDATABASE
pool.on("error", (error) => console.error(`database connection lost: ${error.message}`));

const settings = () => JSON.parse(fs.readFileSync(SETTINGS, "utf8"));
const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const UNDEFINED_TABLE = "42P01", UNIQUE_VIOLATION = "23505";

async function createTable() {
  try {
    await pool.query(`CREATE TABLE IF NOT EXISTS notes
      (id serial PRIMARY KEY, text text NOT NULL, pod text NOT NULL, written timestamptz NOT NULL DEFAULT now())`);
  } catch (error) {
    if (error.code !== UNIQUE_VIOLATION) throw error; // another replica made it at this moment
  }
}

async function query(...parameters) {
  try {
    return await pool.query(...parameters);
  } catch (error) {
    if (error.code !== UNDEFINED_TABLE) throw error;
    await createTable(); // the first note of a new database
    return pool.query(...parameters);
  }
}

function page(notes, title, greeting) {
  const rows = notes.map((n) => `<li>${escape(n.text)} <small>${escape(n.pod)}</small></li>`).join("\n");
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title>
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}small{color:#777}</style>
<h1>${escape(title)}</h1><p>${escape(greeting)}</p>
<form method="post" action="notes"><input name="text" required maxlength="200" autofocus> <button>Add</button></form>
<ul>${rows}</ul><p><small>served by ${escape(os.hostname())}</small></p></html>`;
}

async function body(request) {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 10000) throw Object.assign(new Error("a note may have 10,000 bytes"), { status: 413 });
  }
  return text;
}

const routes = {
  "GET /healthz": async () => [200, "text/plain", "ok"],
  "GET /readyz": async () => { await query("SELECT 1"); return [200, "text/plain", "ok"]; },
  "GET /whoami": async () => [200, "text/plain", os.hostname()],
  "GET /settings": async () => [200, "application/json", JSON.stringify(settings())],
  "GET /notes": async () => {
    const { rows } = await query("SELECT id, text, pod, written FROM notes ORDER BY id DESC LIMIT 100");
    return [200, "application/json", JSON.stringify(rows)];
  },
  "POST /notes": async (request) => {
    const text = new URLSearchParams(await body(request)).get("text");
    if (!text) return [400, "text/plain", "give the note as text=..."];
    const { rows } = await query("INSERT INTO notes(text, pod) VALUES($1, $2) RETURNING id", [text, os.hostname()]);
    return [303, "text/plain", `note ${rows[0].id}`, { Location: "./" }];
  },
  "GET /": async () => {
    const { title, greeting } = settings();
    const { rows } = await query("SELECT text, pod FROM notes ORDER BY id DESC LIMIT 100");
    return [200, "text/html; charset=utf-8", page(rows, title, greeting)];
  },
};

const server = http.createServer(async (request, response) => {
  const handler = routes[`${request.method} ${request.url.split("?")[0]}`];
  try {
    const [status, type, text, headers] = handler ? await handler(request) : [404, "text/plain", "no such page"];
    response.writeHead(status, { "Content-Type": type, ...headers }).end(text);
  } catch (error) {
    console.error(`${request.method} ${request.url}: ${error.message}`);
    response.writeHead(error.status || 503, { "Content-Type": "text/plain" }).end(error.message);
  }
});
server.keepAliveTimeout = 75000; // longer than the ingress keeps an idle connection, so that it never meets a closed one
server.listen(8080, () => console.log(`notes listens on 8080 as ${os.hostname()}`));

process.on("SIGTERM", () => {
  console.log("stopping");
  server.close(() => pool.end().then(() => process.exit(0)));
  server.closeIdleConnections();
});

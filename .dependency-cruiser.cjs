const only = (name, comment, from, to) => ({ name, comment, severity: "error", from, to })

const test = "\\.test\\.tsx?$"

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    only(
      "no-cycles",
      "A cycle means two modules are one module.",
      { pathNot: "^prisma/generated/" },
      { circular: true },
    ),
    only(
      "protocol-is-a-leaf",
      "Wire messages depend on zod and each other, nothing else.",
      { path: "^party/protocol/", pathNot: test },
      { pathNot: ["^party/protocol/", "^node_modules/zod/"] },
    ),
    only(
      "room-core-is-pure",
      "party/room is plain data in, plain data out: it runs without workerd.",
      { path: "^party/room/", pathNot: test },
      { pathNot: ["^party/room/", "^party/protocol/"] },
    ),
    only(
      "one-door-to-partyserver",
      "Only the adapter and the three entry files know the room library, so it can be replaced.",
      {
        path: "^party/",
        pathNot: ["^party/adapter/", "^party/(session|bus|worker|env)\\.ts$", test],
      },
      { path: ["^node_modules/partyserver/", "^cloudflare:"] },
    ),
    only(
      "party-stands-alone",
      "The room deploys by itself.",
      { path: "^party/" },
      { path: "^(app|server|runner|prisma)/" },
    ),
    only(
      "runner-stands-alone",
      "The runner ships inside the sandbox image.",
      { path: "^runner/" },
      { path: "^(app|server|prisma)/" },
    ),
    only(
      "party-is-reached-by-protocol",
      "Everyone speaks to the room in messages.",
      { path: "^(app|server|runner)/" },
      { path: "^party/(?!protocol/)" },
    ),
    only(
      "server-knows-no-ui",
      "server/ is usable from a script.",
      { path: "^server/" },
      { path: ["^app/", "^runner/"] },
    ),
    only(
      "domain-knows-no-transport",
      "Domain code is called from tRPC, Slack and webhooks alike.",
      { path: "^server/domain/" },
      { path: ["^server/(trpc|http)/", "^node_modules/(next|@trpc)/"] },
    ),
    only(
      "domain-adds-jobs-by-the-queue",
      "Jobs call the domain; the domain only adds them, in its own transaction.",
      { path: "^server/domain/", pathNot: test },
      {
        path: "^server/jobs/",
        pathNot: "^server/jobs/queue\\.ts$",
        dependencyTypesNot: ["type-only"],
      },
    ),
    only(
      "edges-know-no-domain",
      "Rooms, providers, files and crypto are called by the domain, never the other way.",
      { path: "^server/(rooms|sandbox|files|kv|crypto)/", pathNot: test },
      { path: "^server/(domain|trpc|http|jobs)/", dependencyTypesNot: ["type-only"] },
    ),
    only(
      "routers-hold-no-queries",
      "A router parses, calls the domain and returns.",
      { path: "^server/trpc/routers/" },
      { path: ["^server/db\\.ts$", "^prisma/", "^node_modules/@prisma/"] },
    ),
    only(
      "one-door-to-the-database",
      "Only server/db.ts constructs the client; types are free.",
      { path: "^(app|server|party|runner)/", pathNot: "^server/db\\.ts$" },
      {
        path: "^(prisma/generated|node_modules/@prisma/client)/",
        dependencyTypesNot: ["type-only"],
      },
    ),
    only(
      "domains-meet-at-the-index",
      "Reach a neighbouring domain by its index.",
      { path: "^server/domain/([^/]+)/" },
      {
        path: "^server/domain/([^/]+)/.+",
        pathNot: ["^server/domain/$1/", "^server/domain/[^/]+/index\\.ts$"],
      },
    ),
    only(
      "browser-code-takes-server-types-only",
      "A value import from server/ would reach the bundle.",
      { path: "^app/_" },
      { path: "^server/", dependencyTypesNot: ["type-only"] },
    ),
    only(
      "routes-enter-by-the-doors",
      "Pages and handlers enter server/ by trpc/caller, http or auth.",
      { path: "^app/(?!_)" },
      {
        path: "^server/",
        pathNot: "^server/(trpc/caller|http/|auth/)",
        dependencyTypesNot: ["type-only"],
      },
    ),
    only(
      "features-do-not-reach-sideways",
      "Compose two features in a page.",
      { path: "^app/_features/([^/]+)/" },
      { path: "^app/_features/", pathNot: "^app/_features/$1/" },
    ),
    only(
      "ui-knows-no-feature",
      "_ui is plain markup.",
      { path: "^app/_ui/" },
      { path: ["^app/_(features|lib)/", "^server/", "^party/"] },
    ),
    only(
      "nothing-imports-the-app",
      "Pages and handlers are entered by Next alone.",
      { path: "^(party|runner|dev|prisma|tests)/" },
      { path: "^app/" },
    ),
    only(
      "stand-ins-stay-out-of-production",
      "dev/, tests/ and server/testing/ are for laptops and tests.",
      {
        path: "^(app|server|party|runner|prisma)/",
        pathNot: [test, "^server/testing/"],
      },
      { path: "^(dev|tests|server/testing)/" },
    ),
    only(
      "resolves",
      "Every import resolves.",
      {},
      { couldNotResolve: true, pathNot: "^(cloudflare|bun):" },
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules|^prisma/generated/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    exclude: { path: "(^|/)\\.(next|out|wrangler|local)/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      mainFields: ["module", "main", "types"],
    },
  },
}

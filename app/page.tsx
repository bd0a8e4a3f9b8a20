export default function HomePage() {
  return (
    <main>
      <h1>Agent Ops</h1>
      <p>
        A hosted background coding agent. This server answers at <code>/api/trpc</code>; its pages
        are not built yet.
      </p>
      <p>
        <a href="/api/health">Is everything up?</a>
      </p>
    </main>
  )
}

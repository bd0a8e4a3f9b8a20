import { columnOf, compare, isSame, meets } from "./conditions.ts"
import { modelOf, type Row } from "./models.ts"

type Arguments = {
  where?: Record<string, unknown>
  data?: unknown
  orderBy?: unknown
  take?: number
  include?: Record<string, unknown>
  select?: Record<string, unknown>
  skipDuplicates?: boolean
  create?: unknown
  update?: unknown
  _max?: Record<string, unknown>
  _min?: Record<string, unknown>
}

/** Prisma's code for a row that a unique index refuses. */
const UNIQUE = "P2002"
const NOT_FOUND = "P2025"

const failed = (code: string, message: string) => Object.assign(new Error(message), { code })

/** Tables in memory with Prisma's calls on them, and one transaction at a time. */
export class Tables {
  readonly #tables = new Map<string, Row[]>()
  readonly #byKey = new Map<string, Row>()
  /** How to take back what the open transaction did, newest last; null without one. */
  #undo: (() => void)[] | null = null
  #moment = 0

  /** PostgreSQL's now(): the same throughout a transaction, later in each next one. */
  get moment(): number {
    if (!this.#undo) this.#moment += 1
    return this.#moment
  }

  rows(model: string): Row[] {
    const known = this.#tables.get(model)
    if (known) return known
    const rows: Row[] = []
    this.#tables.set(model, rows)
    return rows
  }

  /** The row of a primary key, its columns in the order of the model's. */
  row(model: string, ...key: unknown[]): Row | undefined {
    return this.#byKey.get(JSON.stringify([model, ...key]))
  }

  clear(): void {
    this.#tables.clear()
    this.#byKey.clear()
  }

  async transaction<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#undo) throw new Error("Two transactions at once")
    const undo: (() => void)[] = []
    this.#undo = undo
    this.#moment += 1
    try {
      return await work()
    } catch (error) {
      for (const step of undo.reverse()) step()
      throw error
    } finally {
      this.#undo = null
    }
  }

  /** Notes how to take a change back, should the transaction fail. */
  changed(undo: () => void): void {
    this.#undo?.push(undo)
  }

  call(model: string, operation: string, args: Arguments = {}): unknown {
    switch (operation) {
      case "findUnique":
      case "findFirst":
        return this.#find(model, { ...args, take: 1 })[0] ?? null
      case "findUniqueOrThrow":
      case "findFirstOrThrow": {
        const [row] = this.#find(model, { ...args, take: 1 })
        if (!row) throw failed(NOT_FOUND, `No ${model} was found`)
        return row
      }
      case "findMany":
        return this.#find(model, args)
      case "count":
        return this.#matching(model, args.where).length
      case "aggregate":
        return this.#aggregate(model, args)
      case "create":
        return this.#shape(model, this.#insert(model, args.data), args)
      case "createMany":
        return { count: this.#createMany(model, args) }
      case "update": {
        const [row] = this.#matching(model, args.where)
        if (!row) throw failed(NOT_FOUND, `No ${model} was found to update`)
        this.#write(model, row, args.data)
        return this.#shape(model, row, args)
      }
      case "updateMany":
        return { count: this.#updateMany(model, args).length }
      case "updateManyAndReturn":
        return this.#updateMany(model, args).map((row) => this.#shape(model, row, args))
      case "deleteMany":
        return { count: this.#deleteMany(model, args) }
      case "upsert": {
        const [row] = this.#matching(model, args.where)
        if (row) this.#write(model, row, args.update)
        return this.#shape(model, row ?? this.#insert(model, args.create), args)
      }
      default:
        throw new Error(`The simulated database does not know ${model}.${operation}`)
    }
  }

  /** Writes a row's columns as they are. */
  assign(model: string, row: Row, columns: Row): void {
    const before = { ...row }
    Object.assign(row, columns)
    this.changed(() => void Object.assign(row, before))
    this.#check(model, row)
  }

  add(model: string, columns: Row): Row {
    const rows = this.rows(model)
    const row = { ...modelOf(model).defaults?.(), ...columns }
    this.#refuseDuplicate(model, row)
    const name = nameOf(model, row)
    rows.push(row)
    this.#byKey.set(name, row)
    this.changed(() => {
      rows.splice(rows.indexOf(row), 1)
      this.#byKey.delete(name)
    })
    this.#check(model, row)
    return row
  }

  #find(model: string, args: Arguments): Row[] {
    return this.#asked(model, this.rows(model), args)
  }

  /** Those of `rows` that were asked for, in order and shaped. */
  #asked(model: string, rows: Row[], args: Arguments): Row[] {
    const asked = rows.filter((row) => meets(model, row, args.where, this.#related))
    for (const [field, direction] of orders(args.orderBy).reverse()) {
      asked.sort((a, b) => compare(columnOf(a, field), columnOf(b, field)) * direction)
    }
    return asked.slice(0, args.take).map((row) => this.#shape(model, row, args))
  }

  #matching(model: string, where: Record<string, unknown> | undefined): Row[] {
    return this.rows(model).filter((row) => meets(model, row, where, this.#related))
  }

  readonly #related = (model: string, row: Row, name: string): Row[] => {
    const relation = modelOf(model).relations?.[name]
    if (!relation) throw new Error(`The simulated database knows no ${model}.${name}`)
    return this.rows(relation.model).filter((other) =>
      relation.on.every(([here, there]) => isSame(row[here], other[there])),
    )
  }

  /** A copy of the row with what was asked for of its relations. */
  #shape(model: string, row: Row, { include, select }: Arguments): Row {
    const { relations } = modelOf(model)
    const shaped: Row = select ? {} : { ...row }
    for (const [field, wish] of Object.entries({ ...include, ...select })) {
      if (wish === undefined || wish === false) continue
      const relation = relations?.[field]
      const wishes: Arguments = typeof wish === "object" && wish !== null ? wish : {}
      if (field === "_count") shaped._count = this.#counts(model, row, wishes)
      else if (!relation) shaped[field] = columnOf(row, field)
      else {
        const shapes = this.#asked(relation.model, this.#related(model, row, field), wishes)
        shaped[field] = relation.many ? shapes : (shapes[0] ?? null)
      }
    }
    return shaped
  }

  #counts(model: string, row: Row, { select }: Arguments): Row {
    const counts: Row = {}
    for (const [field, wish] of Object.entries(select ?? {})) {
      const related = modelOf(model).relations?.[field]?.model ?? ""
      const { where }: Arguments = typeof wish === "object" && wish !== null ? wish : {}
      const rows = this.#related(model, row, field)
      counts[field] = rows.filter((other) => meets(related, other, where, this.#related)).length
    }
    return counts
  }

  #aggregate(model: string, { where, _max, _min }: Arguments): Row {
    const rows = this.#matching(model, where)
    const extreme = (fields: Record<string, unknown> | undefined, sign: number) =>
      Object.fromEntries(
        Object.keys(fields ?? {}).map((field) => {
          const values = rows.map((row) => columnOf(row, field)).filter((value) => value !== null)
          return [field, values.sort((a, b) => compare(a, b) * sign).at(-1) ?? null]
        }),
      )
    return { _max: extreme(_max, 1), _min: extreme(_min, -1) }
  }

  #createMany(model: string, { data, skipDuplicates }: Arguments): number {
    let count = 0
    for (const each of Array.isArray(data) ? data : [data]) {
      try {
        this.#insert(model, each)
        count += 1
      } catch (error) {
        const isDuplicate = error instanceof Error && "code" in error && error.code === UNIQUE
        if (!isDuplicate || skipDuplicates !== true) throw error
      }
    }
    return count
  }

  #insert(model: string, data: unknown): Row {
    const { relations } = modelOf(model)
    const columns: Row = {}
    const nested: { relation: string; data: unknown }[] = []
    for (const [field, value] of Object.entries(data ?? {})) {
      if (value === undefined) continue
      if (relations?.[field]) nested.push({ relation: field, data: value })
      else columns[field] = stored(value, null)
    }
    const row = this.add(model, columns)
    for (const { relation: name, data: wish } of nested) {
      const relation = relations?.[name]
      if (!relation || !hasCreate(wish)) {
        throw new Error(`The simulated database does not know how to nest ${model}.${name}`)
      }
      const links = relation.on.map(([here, there]) => [there, row[here]])
      this.#insert(relation.model, { ...wish.create, ...Object.fromEntries(links) })
    }
    return row
  }

  #updateMany(model: string, { where, data }: Arguments): Row[] {
    const rows = this.#matching(model, where)
    for (const row of rows) this.#write(model, row, data)
    return rows
  }

  #deleteMany(model: string, { where }: Arguments): number {
    const gone = this.#matching(model, where)
    const rows = this.rows(model)
    for (const row of gone) {
      const at = rows.indexOf(row)
      rows.splice(at, 1)
      this.#byKey.delete(nameOf(model, row))
      this.changed(() => {
        rows.splice(at, 0, row)
        this.#byKey.set(nameOf(model, row), row)
      })
    }
    return gone.length
  }

  #write(model: string, row: Row, data: unknown): void {
    const columns: Row = {}
    for (const [field, value] of Object.entries(data ?? {})) {
      if (value !== undefined) columns[field] = stored(value, columnOf(row, field))
    }
    this.assign(model, row, columns)
  }

  #refuseDuplicate(model: string, row: Row): void {
    const { key, unique } = modelOf(model)
    if (this.row(model, ...key.map((column) => row[column]))) {
      throw failed(UNIQUE, `${model} ${key.join()} is taken`)
    }
    for (const columns of Object.values(unique ?? {})) {
      if (columns.some((column) => row[column] === null)) continue
      const other = this.rows(model).find((known) =>
        columns.every((column) => isSame(known[column], row[column])),
      )
      if (other) throw failed(UNIQUE, `${model} ${columns.join()} is taken`)
    }
  }

  #check(model: string, row: Row): void {
    const refusal = modelOf(model).refusal?.(row, this.rows(model))
    if (!refusal) return
    if (refusal.endsWith("_one_live")) throw failed(UNIQUE, `${refusal} refuses a second row`)
    throw new Error(`${model} violates the constraint ${refusal}`)
  }
}

const nameOf = (model: string, row: Row) =>
  JSON.stringify([model, ...modelOf(model).key.map((column) => row[column])])

function orders(orderBy: unknown): [string, 1 | -1][] {
  const list: object[] = Array.isArray(orderBy) ? orderBy : orderBy ? [Object(orderBy)] : []
  return list.flatMap((each) =>
    Object.entries(each).map(([field, way]): [string, 1 | -1] => [field, way === "desc" ? -1 : 1]),
  )
}

function hasCreate(wish: unknown): wish is { create: object } {
  return typeof wish === "object" && wish !== null && "create" in wish
}

/** What a column holds after `value` was written over `before`. JSON is copied, as a database would. */
function stored(value: unknown, before: unknown): unknown {
  if (value === null || typeof value !== "object" || value instanceof Date) return value
  if ("increment" in value) return increased(before, value.increment)
  // Prisma's markers of SQL's NULL are objects of their own classes.
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return null
  return JSON.parse(JSON.stringify(value))
}

function increased(before: unknown, by: unknown): number | bigint {
  if (typeof before === "bigint") return before + BigInt(Number(by))
  return Number(before) + Number(by)
}

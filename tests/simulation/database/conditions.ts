import { modelOf, type Row } from "./models.ts"

/** Rows of other tables that belong to a row. */
export type Related = (model: string, row: Row, relation: string) => Row[]

type Where = Record<string, unknown>

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !(value instanceof Date) && !Array.isArray(value)

const whereOf = (value: unknown): Where => (isObject(value) ? value : {})

/** Whether a row meets a Prisma `where`, as far as the simulated verbs use that language. */
export function meets(name: string, row: Row, where: Where | undefined, related: Related): boolean {
  return Object.entries(where ?? {}).every(([field, wanted]) =>
    wanted === undefined ? true : meetsField(name, row, field, wanted, related),
  )
}

function meetsField(
  name: string,
  row: Row,
  field: string,
  wanted: unknown,
  related: Related,
): boolean {
  const { relations, unique, key } = modelOf(name)
  if (field === "OR" || field === "AND") {
    const all = Array.isArray(wanted) ? wanted : [wanted]
    const each = (part: unknown) => meets(name, row, whereOf(part), related)
    return field === "OR" ? all.some(each) : all.every(each)
  }
  if (field === "NOT") return !meets(name, row, whereOf(wanted), related)
  if (field === key.join("_") && key.length > 1) return meets(name, row, whereOf(wanted), related)
  if (unique?.[field]) return meets(name, row, whereOf(wanted), related)
  const relation = relations?.[field]
  if (!relation) return meetsValue(row, columnOf(row, field), wanted)
  const rows = related(name, row, field)
  const { some, none, ...plain } = whereOf(wanted)
  const holds = (part: unknown) => (other: Row) =>
    meets(relation.model, other, whereOf(part), related)
  if (!relation.many) return rows.some(holds(plain))
  if (some !== undefined) return rows.some(holds(some))
  if (none !== undefined) return !rows.some(holds(none))
  throw new Error(`The simulated database does not know ${name}.${field} ${JSON.stringify(wanted)}`)
}

export function columnOf(row: Row, field: string): unknown {
  if (!(field in row)) throw new Error(`The simulated database has no column ${field}`)
  return row[field]
}

function meetsValue(row: Row, value: unknown, wanted: unknown): boolean {
  if (!isObject(wanted)) return isSame(value, wanted)
  return Object.entries(wanted).every(([operator, operand]) => {
    if (operand === undefined) return true
    const other = isFieldRef(operand) ? columnOf(row, operand.fieldRef) : operand
    switch (operator) {
      case "equals":
        return isSame(value, other)
      case "in":
        return Array.isArray(other) && other.some((one) => isSame(value, one))
      case "not":
        if (other === null) return value !== null
        return value !== null && !meetsValue(row, value, other)
      case "lt":
        return value !== null && compare(value, other) < 0
      case "lte":
        return value !== null && compare(value, other) <= 0
      case "gt":
        return value !== null && compare(value, other) > 0
      case "gte":
        return value !== null && compare(value, other) >= 0
      default:
        throw new Error(`The simulated database does not know the condition ${operator}`)
    }
  })
}

/** What `db.<model>.fields.<column>` is here. */
export type FieldRef = { fieldRef: string }
const isFieldRef = (value: unknown): value is FieldRef => isObject(value) && "fieldRef" in value

const plain = (value: unknown) => (value instanceof Date ? value.getTime() : value)

export const isSame = (a: unknown, b: unknown) => plain(a) === plain(b)

export function compare(one: unknown, other: unknown): number {
  const a = plain(one)
  const b = plain(other)
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0
  const isNumber = (value: unknown) => typeof value === "number" || typeof value === "bigint"
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b)
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b)
  throw new Error(`The simulated database cannot compare ${String(a)} with ${String(b)}`)
}

import { virtualiseNode } from "./kernel/virtual-node.ts"

// Before any product code is loaded, since some of it keeps Node's functions from then on.
virtualiseNode()

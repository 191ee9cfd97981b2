//go:build !redhen_next

package layout

// Level is the highest level of formats that this redhen reads and writes. A circle
// keeps to the lowest of its boxes, until all of them have a higher one: then nobody
// goes back.
const Level = 1

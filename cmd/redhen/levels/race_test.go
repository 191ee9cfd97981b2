//go:build race

package levels

// raced says that the boxes are built with the race detector, too.
const raced = true

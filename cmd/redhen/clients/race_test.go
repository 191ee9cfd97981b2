//go:build race

package clients

// raced says that the boxes are built with the race detector, too.
const raced = true

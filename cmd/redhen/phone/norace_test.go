//go:build !race

package phone

const raced = false

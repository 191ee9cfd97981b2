// Package phone has only tests: redhen as people meet it, in a real browser that
// plays a phone, at boxes that are real processes. It keeps a picture of every page
// in out/screens. Under the race detector nothing runs; with -short, one story on
// one screen.
package phone

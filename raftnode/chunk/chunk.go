// Package chunk keeps immutable bytes, each named by its hash, as plain files.
package chunk

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export SPACE DIR", Short: "Write a space as a plain folder", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := newExport(a.box(), args[0], args[1])
			if err != nil {
				return err
			}
			defer e.root.Close()
			if err := e.folder(cmd.Context(), "/"); err != nil {
				return err
			}
			return a.done("%s in %s are in %s.", plural(e.files, "file"), plural(e.folders, "folder"), args[1])
		},
	}
}

// export writes one space below one folder, and nowhere else whatever the names are.
type export struct {
	box            *api.Client
	space          string
	root           *os.Root
	files, folders int
}

func newExport(box *api.Client, space, dir string) (*export, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &usageError{err}
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return nil, &usageError{err}
	}
	if len(there) > 0 {
		return nil, &usageError{fmt.Errorf("%s is not empty: name a folder that does not exist yet", dir)}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &usageError{err}
	}
	return &export{box: box, space: space, root: root}, nil
}

// folder writes what is in a folder of the space, and below.
func (e *export) folder(ctx context.Context, dir string) error {
	list, err := e.box.List(ctx, e.space, dir)
	if err != nil {
		return err
	}
	for _, f := range list {
		name := filepath.FromSlash(strings.TrimPrefix(path.Join(dir, f.Name), "/"))
		if f.Dir {
			err = e.root.Mkdir(name, 0o755)
			if err == nil {
				e.folders++
				err = e.folder(ctx, path.Join(dir, f.Name))
			}
		} else {
			err = e.file(ctx, f, name)
		}
		if err != nil {
			return exportWords(name, err)
		}
	}
	return nil
}

func (e *export) file(ctx context.Context, f api.Entry, name string) error {
	out, err := e.root.Create(name)
	if err != nil {
		return err
	}
	err = errors.Join(e.box.Get(ctx, e.space, path.Join("/", filepath.ToSlash(name)), out), out.Close())
	if err != nil {
		return err
	}
	e.files++
	return e.root.Chtimes(name, f.ModTime, f.ModTime)
}

// exportWords leaves the box's own words, and finds some for the disk's errors.
func exportWords(name string, err error) error {
	if _, ok := errors.AsType[*api.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return &api.Error{Code: "export", Sentence: fmt.Sprintf("The export ended at %s: %v. The circle's files are untouched. Make room or choose another folder, then export again.", name, err)}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

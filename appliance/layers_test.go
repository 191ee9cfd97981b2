package appliance_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers lists the top-level folders from the lowest to the highest. A package
// imports from its own layer and from lower ones only.
func layers() []string {
	return []string{"board", "provision", "images", "raftnode", "appliance", "cmd"}
}

// strangers lists the pairs of layers that do not import each other in either direction.
func strangers() map[string][]string {
	return map[string][]string{
		"images":    {"raftnode"},
		"raftnode":  {"images"},
		"provision": {"board"},
	}
}

// fences names, for a dependency, the packages that may import it. A name that
// ends in a slash stands for all packages below it.
func fences() map[string][]string {
	return map[string][]string{
		"github.com/libp2p/go-libp2p": {"provision/p2p", "provision/p2p/", "provision/p2ptest", "provision/pair", "provision/rendezvous", "raftnode/transport"},
		"go.etcd.io/raft/":            {"raftnode", "raftnode/raftlog", "raftnode/transport", "raftnode/raftnodetest"},
		"go.etcd.io/bbolt":            {"raftnode/kv", "raftnode/journal"},
		"github.com/mdlayher/":        {"board", "board/", "images/wifilab/street"},
		"github.com/vishvananda/":     {"board", "board/"},
		"github.com/insomniacslk/":    {"board", "board/", "images/wifilab/street"},
		"golang.org/x/sys":            {"board", "board/", "images/wifilab/street"},
		"github.com/go-webauthn/":     {"appliance/account"},
		"github.com/caddyserver/":     {"appliance/certs"},
		"github.com/mholt/":           {"appliance/certs"},
		"github.com/libdns/":          {"appliance/certs", "appliance/domain"},
		"github.com/miekg/":           {"appliance/domain", "cmd/redhen/name"},
		"github.com/letsencrypt/":     {"cmd/redhen/name"},
		"github.com/gokrazy/":         {"appliance/update", "cmd/redhen", "images/"},
	}
}

func TestLayersGoOneWay(t *testing.T) {
	walk(t, func(pkg, path string, f *ast.File) {
		if rank(pkg) < 0 {
			t.Errorf("%s: %q is no layer", path, pkg)
		}
		for _, spec := range f.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			if rest, ours := strings.CutPrefix(imp, "redhen/"); ours && !mayImport(pkg, rest) {
				t.Errorf("%s imports %s: layers go one way", path, rest)
			}
			for dep, allowed := range fences() {
				if strings.HasPrefix(imp, dep) && !matches(pkg, allowed) {
					t.Errorf("%s imports %s; only %q may", path, imp, allowed)
				}
			}
		}
	})
}

func mayImport(pkg, imported string) bool {
	top, _, _ := strings.Cut(pkg, "/")
	below, _, _ := strings.Cut(imported, "/")
	return rank(imported) >= 0 && rank(imported) <= rank(pkg) && !slices.Contains(strangers()[top], below)
}

func TestEveryPackageSaysWhatItIsOnce(t *testing.T) {
	docs := map[string]int{}
	walk(t, func(pkg, path string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		docs[pkg] += 0
		if f.Doc != nil {
			docs[pkg]++
		}
	})
	if len(docs) < 10 {
		t.Fatalf("only %d packages found: the walk is broken", len(docs))
	}
	for pkg, n := range docs {
		if n != 1 {
			t.Errorf("%s has %d package comments; want 1", pkg, n)
		}
	}
}

func TestTopLevelFolders(t *testing.T) {
	allowed := []string{"cmd", "appliance", "board", "raftnode", "provision", "images", "out"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("top-level folder %s: only %q and dot-folders", e.Name(), allowed)
		}
	}
}

func TestNoWastebasketPackages(t *testing.T) {
	banned := []string{"util", "utils", "common", "types", "model", "models", "helpers", "misc"}
	walk(t, func(pkg, path string, _ *ast.File) {
		if slices.Contains(banned, filepath.Base(pkg)) {
			t.Errorf("%s: a package is one noun", path)
		}
	})
}

const root = ".."

func matches(pkg string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		return pkg == a || strings.HasSuffix(a, "/") && strings.HasPrefix(pkg, a)
	})
}

func rank(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.Index(layers(), top)
}

// walk calls fn for each Go file of the module; test files of package x_test count as x.
func walk(t *testing.T, fn func(pkg, path string, f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "out") {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		fn(filepath.ToSlash(pkg), path, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

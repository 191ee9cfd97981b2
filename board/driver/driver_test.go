package driver

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
)

const brcm = "kernel/drivers/net/wireless/broadcom/brcm80211/"

func tree() fstest.MapFS {
	return fstest.MapFS{"modules.dep": {Data: []byte(brcm + "brcmutil/brcmutil.ko:\n" +
		brcm + "brcmfmac/brcmfmac.ko: " + brcm + "brcmutil/brcmutil.ko\n" +
		brcm + "brcmfmac/cyw/brcmfmac-cyw.ko: " + brcm + "brcmfmac/brcmfmac.ko " + brcm + "brcmutil/brcmutil.ko\n" +
		"kernel/odd.txt: nothing\nno colon\n")}}
}

// What a module needs comes before it, the farthest first; the kernel writes _ for -.
func TestChain(t *testing.T) {
	for _, name := range []string{"brcmfmac-cyw", "brcmfmac_cyw"} {
		got, err := chain(tree(), name)
		want := []string{brcm + "brcmutil/brcmutil.ko", brcm + "brcmfmac/brcmfmac.ko", brcm + "brcmfmac/cyw/brcmfmac-cyw.ko"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "odd", "net-pf-10", "brcm"} {
		if got, err := chain(tree(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	if _, err := chain(fstest.MapFS{}, "brcmfmac"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a list: %v", err)
	}
}

func TestOnlyTheKernelsCallIsModprobe(t *testing.T) {
	for _, args := range [][]string{nil, {"run"}, {"-q", "brcmfmac"}, {"-q", "-r", "brcmfmac"}} {
		if asked, err := AsModprobe(args); asked || err != nil {
			t.Errorf("%q: %t, %v", args, asked, err)
		}
	}
	if asked, err := AsModprobe([]string{"-q", "--", "no-such-module-at-all"}); !asked || err == nil {
		t.Errorf("%t, %v", asked, err)
	}
}

func FuzzChain(f *testing.F) {
	f.Add("a.ko: b.ko\nb.ko:\n", "a")
	f.Fuzz(func(t *testing.T, list, name string) {
		files, err := chain(fstest.MapFS{"modules.dep": {Data: []byte(list)}}, name)
		if err == nil && len(files) == 0 {
			t.Error("found, and nothing to load")
		}
	})
}

package seed

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// ManifestExt ends the name of a file that opens Raspberry Pi Imager 2 by a double click.
const ManifestExt = ".rpi-imager-manifest"

// Image is what Imager has to know of an image for Raspberry Pis.
type Image struct {
	Version        string // of redhen, for people
	House          string // whose card it becomes, for people; may be empty
	URL            string // http, https or file; names the compressed image (.img.xz)
	Icon           string // URL of a picture, may be empty
	Size           int64  // bytes of the image as it is written to the card
	SHA256         [32]byte
	DownloadSize   int64 // bytes of what URL names
	DownloadSHA256 [32]byte
	Released       time.Time
}

type manifest struct {
	Imager struct {
		Devices []manifestDevice `json:"devices"`
	} `json:"imager"`
	Systems []manifestSystem `json:"os_list"`
}

type manifestDevice struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Matching    string   `json:"matching_type"`
}

type manifestSystem struct {
	Name           string   `json:"name"`
	Description    string   `json:"description"`
	Icon           string   `json:"icon"`
	URL            string   `json:"url"`
	ExtractSize    int64    `json:"extract_size"`
	ExtractSHA256  string   `json:"extract_sha256"`
	DownloadSize   int64    `json:"image_download_size"`
	DownloadSHA256 string   `json:"image_download_sha256"`
	ReleaseDate    string   `json:"release_date"`
	InitFormat     string   `json:"init_format"`
	Devices        []string `json:"devices"`
	Architecture   string   `json:"architecture"`
}

// Manifest returns the file that makes Imager offer the image, for each Raspberry Pi
// that it runs on, and ask for Wi-Fi and name. It carries no seed: Imager writes its own
// answers to the card, in the format that both 1.x and 2.x know (cloudinit).
func Manifest(img Image) ([]byte, error) {
	u, err := url.Parse(img.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "file":
		return nil, errors.New("imager manifest: the image's address is not http, https or file")
	case img.Size <= 0 || img.DownloadSize <= 0 || img.SHA256 == [32]byte{} || img.DownloadSHA256 == [32]byte{}:
		return nil, errors.New("imager manifest: the image's size or hash is missing")
	}
	name := "redhen"
	if img.House != "" {
		name = "redhen for " + img.House
	}
	s := manifestSystem{
		Name: name, Description: fmt.Sprintf("A box for the living room, kept safe by friends. Version %s", img.Version),
		Icon: img.Icon, URL: img.URL,
		ExtractSize: img.Size, ExtractSHA256: hex.EncodeToString(img.SHA256[:]),
		DownloadSize: img.DownloadSize, DownloadSHA256: hex.EncodeToString(img.DownloadSHA256[:]),
		ReleaseDate: img.Released.UTC().Format(time.DateOnly), InitFormat: "cloudinit", Architecture: "armv8",
	}
	var m manifest
	for _, d := range []struct{ name, tag string }{
		{"Raspberry Pi 5", "pi5-64bit"}, {"Raspberry Pi 4", "pi4-64bit"}, {"Raspberry Pi 3", "pi3-64bit"}, {"Raspberry Pi Zero 2 W", "pi3-64bit"},
	} {
		m.Imager.Devices = append(m.Imager.Devices, manifestDevice{
			Name: d.name, Description: d.name, Tags: []string{d.tag}, Matching: "exclusive",
		})
	}
	s.Devices = []string{"pi5-64bit", "pi4-64bit", "pi3-64bit"}
	m.Systems = []manifestSystem{s}
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

// ImagerLink returns the link that opens Imager with the manifest at an http or https address.
func ImagerLink(manifestURL string) string {
	return "rpi-imager://open?repo=" + url.QueryEscape(manifestURL)
}

// maxManifest bounds what ReadManifest reads, in bytes.
const maxManifest = 64 << 10

// ReadManifest reads what Manifest wrote: the image, but for the house. The error says
// that it is something else.
func ReadManifest(b []byte) (Image, error) {
	var m manifest
	if len(b) > maxManifest {
		return Image{}, errors.New("imager manifest: too large")
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return Image{}, fmt.Errorf("imager manifest: %w", err)
	}
	if len(m.Systems) != 1 {
		return Image{}, errors.New("imager manifest: not one of redhen's")
	}
	s := m.Systems[0]
	img := Image{URL: s.URL, Icon: s.Icon, Size: s.ExtractSize, DownloadSize: s.DownloadSize}
	_, version, ours := strings.Cut(s.Description, "Version ")
	if img.Version = version; !ours {
		return Image{}, errors.New("imager manifest: not one of redhen's")
	}
	var err error
	if img.Released, err = time.Parse(time.DateOnly, s.ReleaseDate); err != nil {
		return Image{}, fmt.Errorf("imager manifest: %w", err)
	}
	whole, wrong := hex.DecodeString(s.ExtractSHA256)
	packed, err := hex.DecodeString(s.DownloadSHA256)
	if wrong != nil || err != nil || len(whole) != len(img.SHA256) || len(packed) != len(img.DownloadSHA256) {
		return Image{}, errors.New("imager manifest: a hash is not one")
	}
	copy(img.SHA256[:], whole)
	copy(img.DownloadSHA256[:], packed)
	_, err = Manifest(img)
	return img, err
}

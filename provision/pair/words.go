package pair

import "strings"

// Word is a word and its picture, for people to compare.
type Word struct {
	Picture string // one emoji
	Text    string // lower case
}

// String returns both.
func (w Word) String() string { return w.Picture + " " + w.Text }

// wordAt returns the word of a number.
func wordAt(i byte) Word {
	line := strings.Split(wordList, "\n")[1+int(i)/16]
	picture, text, _ := strings.Cut(strings.Split(line, ",")[i%16], " ")
	return Word{picture, text}
}

// wordList holds 256 words with a picture each, 16 to a line. Its order never
// changes: boxes of different versions show the same.
const wordList = `
🐔 hen,🐓 rooster,🐣 chick,🦆 duck,🦅 eagle,🦉 owl,🦇 bat,🐺 wolf,🐗 boar,🐴 horse,🦄 unicorn,🐝 bee,🐛 caterpillar,🦋 butterfly,🐌 snail,🐞 ladybird
🐜 ant,🦗 cricket,🕷 spider,🦂 scorpion,🐢 turtle,🐍 snake,🦎 lizard,🦖 dinosaur,🐙 octopus,🦑 squid,🦐 shrimp,🦞 lobster,🦀 crab,🐡 blowfish,🐟 fish,🐬 dolphin
🐳 whale,🦈 shark,🐊 crocodile,🐅 tiger,🐆 leopard,🦓 zebra,🦍 gorilla,🐘 elephant,🦛 hippo,🦏 rhino,🐪 camel,🦒 giraffe,🦘 kangaroo,🐃 buffalo,🐄 cow,🐖 pig
🐏 ram,🐑 sheep,🦙 llama,🐐 goat,🦌 deer,🐕 dog,🐩 poodle,🐈 cat,🦃 turkey,🦚 peacock,🦜 parrot,🦢 swan,🦩 flamingo,🕊 dove,🐇 rabbit,🦝 raccoon
🦨 skunk,🦡 badger,🦦 otter,🦥 sloth,🐁 mouse,🐿 squirrel,🦔 hedgehog,🐉 dragon,🌵 cactus,🎄 fir,🌴 palm,🌱 sprout,🍀 clover,🎋 bamboo,🍁 maple,🍄 mushroom
🌾 wheat,💐 bouquet,🌷 tulip,🌹 rose,🌻 sunflower,🌙 moon,⭐ star,☀ sun,☁ cloud,🌈 rainbow,⚡ lightning,🔥 fire,💧 drop,🌊 wave,❄ snowflake,⛄ snowman
🍏 apple,🍐 pear,🍊 orange,🍋 lemon,🍌 banana,🍉 melon,🍇 grapes,🍓 strawberry,🍒 cherries,🍑 peach,🥭 mango,🍍 pineapple,🥥 coconut,🥝 kiwi,🍅 tomato,🍆 aubergine
🥑 avocado,🥦 broccoli,🥒 cucumber,🌶 pepper,🌽 maize,🥕 carrot,🧄 garlic,🧅 onion,🥔 potato,🥐 croissant,🍞 bread,🥨 pretzel,🧀 cheese,🥚 egg,🥞 pancakes,🥓 bacon
🍗 drumstick,🌭 hotdog,🍔 burger,🍟 chips,🍕 pizza,🥪 sandwich,🌮 taco,🥗 salad,🍝 spaghetti,🍜 noodles,🍣 sushi,🍤 prawn,🍚 rice,🍦 icecream,🥧 pie,🎂 cake
🍭 lollipop,🍬 sweet,🍫 chocolate,🍿 popcorn,🍩 doughnut,🍪 biscuit,🌰 chestnut,🥜 peanut,🍯 honey,🥛 milk,☕ coffee,🍵 tea,🍺 beer,🍷 wine,🥄 spoon,🍴 fork
⚽ football,🏀 basketball,🏈 rugby,⚾ baseball,🎾 tennis,🏐 volleyball,🎱 billiards,🏓 pingpong,🏸 badminton,🏒 hockey,🏏 bat-and-ball,⛳ golf,🏹 bow,🎣 fishing,🥊 boxing,🛹 skateboard
⛸ skate,🎿 ski,🛷 sledge,🏆 trophy,🥇 medal,🎪 circus,🎭 theatre,🎨 palette,🎬 film,🎤 microphone,🎧 headphones,🎹 piano,🥁 drum,🎷 saxophone,🎺 trumpet,🎸 guitar
🎻 violin,🎲 dice,♟ chess,🎯 target,🎳 bowling,🎮 gamepad,🧩 puzzle,🚗 car,🚕 taxi,🚌 bus,🚓 police,🚑 ambulance,🚒 firetruck,🚜 tractor,🛴 scooter,🚲 bicycle
🏍 motorbike,🚨 siren,🚠 gondola,🚂 locomotive,🚆 train,🚁 helicopter,✈ plane,🚀 rocket,🛸 saucer,⛵ sailboat,🚤 speedboat,🚢 ship,⚓ anchor,🚦 lights,🗿 statue,🗽 liberty
🗼 tower,🏰 castle,🎡 wheel,🎢 rollercoaster,⛲ fountain,🏖 beach,🏝 island,🌋 volcano,⛰ mountain,⛺ tent,🏠 house,🏭 factory,🏥 hospital,🏦 bank,🏫 school,⛪ church
⌚ watch,📱 phone,💻 laptop,🖨 printer,📷 camera,📺 television,📻 radio,🧭 compass,⏰ alarm,⏳ hourglass,🔋 battery,🔌 plug,💡 bulb,🔦 torch,🕯 candle,🔑 key
`

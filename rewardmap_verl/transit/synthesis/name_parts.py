"""Name parts from which names are generated, by language.

In a pattern, ``{s}`` stands for a stem, ``{e}`` for an ending and ``{k}`` for a kind of place. The
combinations give many more names than the largest network has stops.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NameParts:
    """The name parts of one language."""

    stems: tuple[str, ...]
    ends: tuple[str, ...]
    kinds: tuple[str, ...]
    patterns: tuple[str, ...]
    """Chosen with equal probability; a repeated pattern is more likely."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _items(text: str) -> tuple[str, ...]:
    return tuple(text.split(";"))


ENGLISH = NameParts(
    _words(
        "Alder Amber Apple Arch Ash Barley Beacon Birch Black Bramble Brier Brook Cairn Candle "
        "Cedar Clay Clover Copper Coral Corn Crane Crow Dove Drift Dun Elder Ember Falcon Fern "
        "Finch Flint Fox Frost Gold Goose Granite Hare Harrow Hart Haw Hazel Heather Heron Holly "
        "Honey Iron Ivy Juniper Kestrel King Lamb Larch Lark Laurel Lime Linden Loom Maple Marl "
        "Mead Merle Mill Mint Moor Moss Myrtle North Oak Oat Orchard Otter Owl Pearl Pepper Pine "
        "Plover Plum Quill Rain Raven Reed River Robin Rose Rowan Rush Rye Saffron Sage Salt Sedge "
        "Shell Silver Slate Sorrel South Spring Starling Stone Swallow Swan Tawny Teal Thistle "
        "Thorn Thrush Velvet Vine Walnut Wander Weaver West Wheat Whistle Willow Winter Wren "
        "Yarrow Yew"
    ),
    _words(
        "bank borough bridge brook burn bury by cliffe combe cote cross dale den field fold ford "
        "gate grove ham haven hill holt hurst leigh ley low mere mouth port ridge shaw side stead "
        "stoke ton wall water way well wick wood worth"
    ),
    _items(
        "Park;Square;Market;Gate;Road;Hill;Lane;Green;Docks;Quay;Bridge;Gardens;Cross;Museum;"
        "College;Hospital;Stadium;Airport;Court;Heath;Common;Mills;Harbour;Terrace;Fields;Library;"
        "Zoo;Arena"
    ),
    ("{s}{e}", "{s}{e}", "{s}{e}", "{s}{e}", "{s} {k}", "{s} {k}", "{s}{e} {k}"),
)

GERMAN = NameParts(
    _words(
        "Adler Ahorn Amsel Apfel Auer Bären Birken Blumen Brunnen Buchen Dachs Dorn Eber Eichen "
        "Eisen Elster Erlen Falken Farn Fasan Felsen Feuer Fichten Fuchs Garten Ginster Gold Grün "
        "Habicht Hafer Hasel Heide Hirsch Holunder Honig Kalk Kiefern Kirsch Klee Korn Kranich "
        "Kupfer Lerchen Licht Linden Löwen Luchs Mandel Markt Mohn Moos Mühlen Nacht Neu Nuss Ober "
        "Otter Pappel Pfauen Quellen Raben Reiher Rosen Salz Sand Schilf Schwalben Silber Sonnen "
        "Specht Stein Storchen Tannen Tauben Ulmen Unter Wachtel Weiden Winter Wolfs Zeder Ziegel"
    ),
    _words(
        "au bach berg brück brunn burg damm dorf eck feld furt garten grund hain hausen heim hof "
        "höhe holz hügel kamp moor platz rain rode see stadt steg stein tal tor ufer wald wang weg "
        "weiler werder wiese"
    ),
    _items("Nord;Süd;Ost;West;Mitte;Hafen;Messe;Museum;Rathaus;Klinik;Stadion;Zoo"),
    ("{s}{e}", "{s}{e}", "{s}{e}", "{s}{e}", "{s}{e}", "{s}{e} {k}"),
)

FRENCH = NameParts(
    _words(
        "Aigue Aube Beau Bel Blanc Bon Bré Brume Cadre Char Clair Coul Cour Croix Dor Épine Fauve "
        "Fer Fon Font Franc Fraîche Gai Gran Grand Grive Haut Joli Lande Loin Long Loup Lune Mar "
        "Mer Mont Neuf Noir Oise Or Ors Pastel Pierre Plume Pré Puy Roche Rouge Sable Sauge Sein "
        "Sol Tour Val Vent Ver Vert Vieu Vigne Vol"
    ),
    _words(
        "aire anche ardin aube bois bourg bray champ clos cour dieu eau elle erie étang euil fleur "
        "fond fort gny jour lac lieu lieux loire mail mare mer mesnil mont nay pont pré rive sart "
        "teuil val vaux ville voie"
    ),
    _items(
        "Place;Pont;Porte;Quai;Jardin;Parc;Mairie;Moulin;Fontaine;Château;Marché;Musée;Stade;Port;"
        "Collège;Tour;Les Halles"
    ),
    ("{s}{e}", "{s}{e}", "{k} {s}{e}", "{s}{e}-le-Haut", "{s}{e}-sur-Lys"),
)

SPANISH = NameParts(
    _words(
        "Acebo Alameda Álamo Alba Alerce Almena Almendro Arce Arroyo Aurora Azahar Brezo Cañada "
        "Cantera Castaño Cedro Cerezo Ciprés Cóndor Cumbre Duna Encinar Enebro Espiga Fresno "
        "Garza Gaviota Granado Halcón Higuera Jazmín Jilguero Laguna Laurel Lince Lirio Lucero "
        "Madroño Manantial Marisma Membrillo Mirlo Mirto Molino Naranjo Nogal Olivar Olmo Palmar "
        "Peñasco Pinar Quejigo Ribera Robledal Romero Roquedo Ruiseñor Sauce Sendero Tejo Tilo "
        "Tomillo Torreón Trigal Vereda Viñedo Zorzal"
    ),
    _items("del Mar;del Sol;del Valle;del Monte;del Rey;de Oro;de Plata;de la Luna;del Campo"),
    _items(
        "Plaza;Puente;Parque;Puerta;Campo;Monte;Jardín;Estadio;Torre;Mercado;Museo;Muelle;Paseo;"
        "Mirador"
    ),
    ("{s}", "{k} {s}", "{k} {s}", "{s} {e}", "{s} {e}"),
)

NORDIC = NameParts(
    _words(
        "Abborr Al Alm Ask Asp Björk Björn Blå Bok Dal Ek Eld Falk Fin Fjäll Fur Gran Grav Grön "
        "Gull Gås Göl Hav Hjort Humle Häger Häst Is Järn Kors Kråk Kung Kvarn Lejon Lind Ljung Lo "
        "Lär Malm Mo Mån Mörk Norr Nät Olv Orm Ren Rosen Räv Röd Rönn Sand Segel Silver Sjö Skog "
        "Slätt Sol Sten Stor Ström Svan Säl Sälg Tall Tran Tra Troll Uv Val Varg Vat Vind Vit Vår "
        "Åker Ång Älg Äng Äpple Ört Öst"
    ),
    _words(
        "backen berga boda bro by dalen fors gatan gården hagen halla hamn holm hult kulla lunda "
        "marken mossa näs parken rum skogen stad strand sund sätra tomta torget torp udden vallen "
        "vik åsen ö"
    ),
    _items("Norra;Södra;Östra;Västra;Gamla;Nya"),
    ("{s}{e}", "{s}{e}", "{s}{e}", "{s}{e}", "{k} {s}{e}"),
)

CYRILLIC = NameParts(
    _words(
        "Берез Бобр Борон Ветр Вишн Ворон Гориц Горн Громов Груш Дубр Ерш Жемчуж Журавл Заряд "
        "Звезд Зерн Зимн Золот Ив Калин Камен Каштан Кедр Клен Колос Корабл Крапив Лебед Липн "
        "Лисиц Лугов Малин Маяк Медв Мельн Моховн Облач Озер Ольх Орех Орл Осин Парус Перл Песч "
        "Пихт Полев Пшен Родник Рощин Рябин Сад Светл Север Серебр Снеж Сокол Солн Сосн Степн "
        "Тепл Терн Тополь Травн Туман Хвойн Цвет Черемух Шмел Яблон Ягод Ясен"
    ),
    _items("овка;ово;ино;овское;ово поле;ов мост;ова гора;ов луг;ова роща;ов парк;ова слобода"),
    _items("Верхняя;Нижняя;Новая;Старая;Малая;Большая"),
    ("{s}{e}", "{s}{e}", "{s}{e}", "{k} {s}овка"),
)

GREEK = NameParts(
    _words(
        "Αγγελ Αετ Αλμυρ Αμμ Αμπελ Αμυγδαλ Ανεμ Ανθ Αργυρ Αστρ Βαθ Βελανιδ Γαλην Γερακ Γλυκ Δαφν "
        "Δροσ Ελαι Ελατ Ηλι Θυμαρ Καλαμ Καρυδ Καστρ Κερασ Κορυδαλ Κρην Κυπαρισσ Κυκν Λευκ Λυκ "
        "Μαρμαρ Μελισσ Μηλ Μυλ Μυρτ Ξηρ Πελαργ Περιστερ Πετρ Πευκ Πικρ Πλατ Ποταμ Πρασιν Ροδ Ροδι "
        "Σιταρ Σκι Σταχ Σταφυλ Συκ Φεγγαρ Φλαμουρ Φραγκ Φωτειν Χελιδον Χρυσ"
    ),
    _words(
        "όκαμπος όκαστρο όλακκος όλοφος όνησο όπετρα όπυργος όρεμα ότοπος οβούνι οκάμπι οκήπι "
        "ολίμνη ομάνι οπηγή οπόταμο οχώρι ώνας"
    ),
    _items("Άνω;Κάτω;Νέο;Παλιό;Πλατεία;Πάρκο;Αγορά"),
    ("{s}{e}", "{s}{e}", "{s}{e}", "{k} {s}οχώρι"),
)

CHINESE = NameParts(
    tuple("青白红金银玉云龙凤石松柳梅兰竹桂杏桃莲江河星月朝晨春秋安和永新福锦翠明丰嘉泰宁景"),
    tuple("山湖桥门园街路湾塘口庄岭泉浦洲坊亭台港溪林岗屯渡城井"),
    tuple("东西南北"),
    ("{s}{e}", "{s}{e}", "{s}{s2}{e}", "{s}{s2}{e}", "{s}{e}{k}"),
)

NAME_PARTS: dict[str, NameParts] = {
    "english": ENGLISH,
    "german": GERMAN,
    "french": FRENCH,
    "spanish": SPANISH,
    "nordic": NORDIC,
    "cyrillic": CYRILLIC,
    "greek": GREEK,
    "chinese": CHINESE,
}

SHORT_NAMES: tuple[str, ...] = _words(
    "Abel Alba Anno Arlo Axel Bari Bela Bolt Brio Cato Cleo Dale Dora Dune Echo Elba Ezra Faro "
    "Fern Gale Gora Haze Hugo Iris Ivor Jade Juno Kite Koda Lark Lina Luma Mace Mira Moss Nell "
    "Nova Olin Opal Otto Pike Pola Quin Rhea Rook Sage Sola Tavi Tern Ulla Umber Vale Vera Wick "
    "Wren Xeno Yale Yuna Zeal Zola"
)

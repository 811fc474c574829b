#!/usr/bin/env python3
"""Writes src/data/language_table.c: the words and letters by which src/data/language.c tells languages apart.

The lists are the commonest small words of each language (articles, pronouns, prepositions, forms of "be"), at most eight
bytes of UTF-8 each, and letters that few languages have. Words that code uses as keywords or names alone (if, for, in,
int, def) are left out where a language can spare them. Usage: tools/make_languages.py > src/data/language_table.c
"""

WORDS = {
    "en": "the of and to a is that it was with as his they be at one have this from had by but what some we can out other were all your when up use how said an each she which do their time will way about many then them would like so these her make him has two more go see no could people my than been who its now did get may you are i on not there write please should does because only into where most any our us me if for or in between given want need here also explain create provide using help tell give name such while even very first after know let write create convert build change develop modify rewrite sort find list number value code add word",
    "es": "de la que el en y los se del las por un para con no una su al lo como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni contra otros ese eso ante ellos e esto mí antes algunos qué unos yo otro él tanto esa estos mucho nada muchos cual poco ella estar estas algunas algo nosotros es son fue ser tiene puede hola cómo está eres cuál soy puedo gracias hacer tu te dime quiero han sido",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec son ou aux sa ses mais comme nous cette on été être même ont leur fait deux aussi peut sans ces lui était si tout elle entre vous je tu c'est d'un qu'il où donc très bien faire peux moi dont ainsi votre vos mon ma mes quel quelle quels notre non oui autres car afin bonjour j'ai n'est leurs chaque",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde wenn kann ich du wir ihr was wo wer mir mich dir dich uns mein dein diese dieser dieses kein keine eines hier sehr schon gibt können müssen bitte warum ja nein habe bin ob damit weil alle zwischen",
    "it": "di che e la il un a è per una in sono mi ho non ma lo ha le si ti i con cosa se io come da ci no questo qui hai del bene sei mio al della suo dei più nel gli alla delle perché anche tutto solo o chi nella dal molto quando loro essere stato fare era tra dove tuo mia sua ed ad questa puoi può ogni quale quali sulla sul degli ai alle così senza fra",
    "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus quem nas me esse eles estão você tinha foram essa nem suas meu às minha têm numa pelos qual nós lhe são este fazer pode olá posso isto ao sobre onde qualquer",
    "nl": "de en van ik te dat die in een hij het niet zijn is was op aan met als voor had er maar om hem dan zou of wat mijn men dit zo door over ze zich bij ook tot je mij uit der daar haar naar heb hoe heeft hebben deze u want nog zal me zij nu ge geen iets worden toch al waren veel meer doen toen moet ben zonder kan hun dus alles onder ja eens hier wie werd wordt kunnen kun wil waarom jij jouw welke mensen tussen goed",
    "sv": "och i att det som en på är av för med den till inte har de om ett han men var jag sig från vi så kan när man nu hade du vid där efter under ska skulle eller sin bara vad ut alla hon upp mycket än mig över blir här ja vara nej hur in få då sedan bli måste också någon något några genom din ditt dig finns mellan mot hans detta denna varför utan många är",
    "da": "og i at det er en til af på for med den der de ikke som har et han fra jeg var vi om man ved så men sig kan hun nu også skal ud efter blev eller op hvad blive mig over ind havde når vil hvor dig år hans alle du være være sin bliver nogle noget hvis meget mere mellem uden hvordan hvorfor dette denne din dit mange selv",
    "no": "og i det er på som en til av å at for med den har de ikke et han fra jeg var vi om ble så men seg kan hun nå også skal ut etter eller opp hva bli meg over inn hadde når vil hvor deg år hans alle du være sin blir noen noe hvis mye mer mellom uten hvordan hvorfor dette denne din ditt mange selv bare der da",
    "fi": "ja on ei se että hän oli mutta ovat myös kun niin kuin joka mitä tai jos olla sen minä nyt vain ole sitä mikä mukaan jo ovat hänen voi sekä olen sinä me he te tämä mutta kuinka miten missä miksi kanssa ennen jälkeen kuten eli noin vielä siitä siinä ollut olisi voit saa joita jotka joiden sillä koska minun onko",
    "et": "ja on ei et see oma ta kui aga ka oli mis ma ning või siis nii kes seda mida nad olid väga selle veel kõik üle pole peab olema saab nagu kas mitte tema meie ole sest juba ainult kuidas miks enne pärast",
    "hu": "a az és hogy nem is egy ez meg de van volt csak ha mint már még le el vagy ki kell sem mi azt ezt én te ő mert lesz után itt nagyon most aki ami amely lehet minden több ban ben által szerint hogyan miért között kérlek mely vannak voltak olyan ilyen",
    "pl": "w i na z do się nie to jest że o jak po co ale od za był przez dla tym ten są może tak już jego być czy ma tego jej które który która tylko oraz jako go ich też lub przy by ze bardzo ja ty mnie mi gdy kiedy gdzie dlaczego można więc jeśli aby został także między",
    "cs": "a v se na je že to s z o i do k ve pro za by ale si po jako podle od jsem tak jeho který jsou byl které jeho jen už byla až být co jak když nebo ze však také která před jsme při než může této ne můj jaký kde proč jste mezi není má lze aby",
    "sk": "a v sa na je že to s z o i do k vo pre za by ale si po ako podľa od som tak jeho ktorý sú bol ktoré len už bola až byť čo keď alebo zo však aj ktorá pred sme pri než môže tejto nie môj aký kde prečo ste medzi má možno aby",
    "sl": "je in v na se za da so z ki pa kot po tudi s iz ni bi o od do ne bil ali pri kar še le če to bo ter že več samo pred kako zakaj kje med ima lahko sem si smo biti zelo",
    "hr": "i u je se na da su za od s a koji što kao o ali to iz ne sam bio će po do nije koja bi samo ili sve tako koje još kada ako ima biti može prije nakon kako zašto gdje između mi ti vi oni ona vrlo",
    "ro": "și de la în a să nu cu un o pe este că pentru din mai au care sau se sunt fost ca era dar al ale prin după fi lui iar foarte am ce le ei acest această poate când cum dacă între unei unui asta mi te ne vă îmi cel cea",
    "ca": "de la i el que a en un per els amb les una del es no al com més dels ha són o és seu va si seva aquest aquesta ser també entre però pot quan sobre molt fins sense són et em jo tu ell ella això què qui on ho hi li cap té tot dos després cada està què perquè has són durant",
    "gl": "de a o que e do da en un para é con non unha os no se na por máis as dos como pero foi ao el das ten seu súa ou ser cando moito hai nos xa está eu tamén só polo pola ata iso ela entre era sen os aos ter quen esta este son pode onde moi facer ti che",
    "eu": "eta da ez ere bat du zen dira izan bere dute egin den baina hau zuen edo behar oso da eta dela ditu baino hori izango beste ziren daude dago bai nola zer zein non nor gu ni zu hura duen dituzte bezala gero arte egiten zergatik asko bi",
    "eo": "la de kaj en estas al ke mi ne por kiu li kun el sed oni ankaŭ ĝi kiel pri estis tiu aŭ pli ili ŝi vi ni tio ĉi kio kiuj da havas se povas nur jam sur ĉu sia por dum post inter tre unu du mia via ĝia tiel kiam ĉiuj multaj kial kie esti",
    "id": "yang dan di dengan untuk tidak ini dari dalam akan pada juga itu saya ke karena bisa ada mereka kita oleh atau sebagai adalah anda dia telah lebih sudah harus para saat bahwa seperti orang secara dapat hanya banyak tahun kamu apa kami jika bagi namun antara serta apakah tersebut beberapa",
    "tl": "ang ng sa na mga ay at ko mo ako ka hindi para ito kung siya niya may isang ni si kay lang din rin po ba namin natin kayo sila ano paano bakit dahil pero upang nang wala mayroon ating",
    "vi": "và của là có không cho được các một những người trong với này đã khi để từ cũng như về nhiều ra đến vào tôi bạn thì mà nó hay sẽ trên tại vì nếu rất phải làm hơn cái gì ở theo sau chỉ lại bị nên anh thể đó đây năm việc",
    "tr": "ve bir bu da de için ile çok ne o ama gibi daha en olarak var mi kadar sonra ben sen biz siz ya ki olan her değil mı nasıl neden olur oldu veya şey hem bana sana beni şu diye ise tüm hangi yok iyi kendi bunu",
    "az": "və bir bu üçün ilə da də çox nə o amma kimi daha ən olan var qədər sonra mən sən biz siz ki hər deyil necə niyə olur oldu və ya isə idi bütün hansı onun edir",
    "sq": "dhe në të e i që për me një nga është ka më si do u por nuk se ai ajo janë kjo ky ishte kur ose mund duke edhe pas deri kam ke unë ti ne ju çfarë ku pse",
    "lt": "ir į yra kad ne tai su iš kaip bet jis jo ar buvo už prie dėl nuo tik savo dar jau taip man po ką kas kur apie gali labai aš tu mes jūs jie jos kai kodėl būti arba",
    "lv": "un ir ar no uz kas ka par ne to kā bet lai arī viņš tas es jau pie vai bija pēc tik vēl līdz var ļoti tā kad kur kāpēc mēs jūs viņi savu nav būt tiek šo šis",
    "is": "og að í á er sem það til um við en var ekki með af fyrir hann ég þú hún þetta eru frá hafa eftir eða upp þeir hvað hvernig þegar verið hans mjög hefur þá svo ef því",
    "ga": "an na agus ar is tá go sé an bhí le ag seo sin ní do sí mé tú ach ó nó mar bhfuil raibh chun atá leis",
    "cy": "y yn a i o ar yr mae gan wedi ei am ond eu fel oedd nid bod hyn hynny ni ac mewn sydd neu roedd beth sut pam",
    "af": "die en van in is nie het dat 'n ek hy te wat sy met vir om op aan was as jy ons hulle maar ook by kan sal uit so na word wees moet hoe hierdie daar waar",
    "sw": "ya na wa kwa ni katika za la cha kuwa hii kama yake huo pia au hiyo watu si vya lakini hata kila sana yangu wewe mimi nini kwamba ambayo baada",
    "la": "et in est non ut cum ad quod qui sed si esse quam ex sunt hoc nec quae ab per enim atque aut autem etiam eius",
    "ru": "и в не на я что он с как это а по но из у к за вы так же от все о его для мы бы мне да ты они она ее если уже или ни был вот то до при вас чем их без под надо быть есть был где тут кто тебя меня нет еще ещё её ней нам нас эти этот мой",
    "uk": "і в не на я що він з як це а по але із у до за ви так же від все о його для ми б мені та ти вони вона її якщо вже або ні був ось то при вас чим їх без під бути є де хто тебе мене ще й цей ці нам нас мій яка який щоб дуже",
    "be": "і ў не на я што ён з як гэта а па але да за вы так ад усе яго для мы мне ты яны яна яе калі ўжо або быў вось каб хто дзе яшчэ ёсць",
    "bg": "и в не на аз че той с как това а по но из у да за вие така от все го за ние ме ти те тя ако вече или бил ето до при вас чем без под има къде кой мен са се ще съм си още му ги който която",
    "sr": "и у не на ја да он с као то а по али из за ви тако од све о га ми је ти они она ако већ или био ево до при вас без под има где ко мене су се ће сам си још му их што који која",
    "mk": "и во не на јас да тој со како тоа а по но од за вие така сите го ние ми е ти тие таа ако веќе или беше до при вас без под има каде кој мене се ќе сум си уште му ги што која кои",
    "kk": "және бұл үшін мен бір да де ол осы деп бар емес не сол сен біз әр қалай еді ғана",
    "ar": "في من على أن إلى لا ما هذا هذه عن مع هو هي كان أو كل قد ثم التي الذي بين بعد عند لم لن إن كما هل أنا أنت نحن ذلك تلك حيث غير أي",
    "fa": "در از به که این را با است برای آن یک خود تا می بر هم نیز شد او هر اما یا بود ما شما من چه اگر آیا دو پس همه باید شود کرد های ها چی",
    "ur": "کے میں کی ہے اور سے کا کو اس پر نے یہ ہیں کہ بھی ایک وہ تھا جو ہو تو نہیں کر آپ کیا ان ہم مجھے تھے ہوں",
    "hi": "के में है की और से का को पर यह हैं कि जो भी एक वह था हो तो कर ने आप क्या हम इस मैं",
    "mr": "आहे आणि या ते हे मी तो ती की व आहेत नाही",
    "ne": "छ र को मा हो यो छन् म गर्न",
}

SCRIPTS = ["Latn", "Cyrl", "Arab", "Deva"]    # as enum script in language.c begins
SCRIPT_OF = {code: script for script, codes in (("Cyrl", "ru uk be bg sr mk kk"), ("Arab", "ar fa ur"), ("Deva", "hi mr ne")) for code in codes.split()}

LETTERS = {
    "es": "ñ¿¡", "de": "ßäöü", "fr": "çœêèàùî", "pt": "ãõç", "gl": "ñ", "ca": "çïŀ", "sv": "åäö", "da": "æøå", "no": "æøå", "fi": "äö", "et": "õäöü", "hu": "őűáéö", "pl": "łąęśćżźń",
    "cs": "řěůčšž", "sk": "ľĺŕčšž", "sl": "čšž", "hr": "đčćšž", "ro": "ășțşţâî", "eo": "ĉĝĥĵŝŭ", "vi": "đơưăạảấầẩậắằẵặẹẻếềểệỉịọỏốồổộớờởợụủứừửựỳỹ", "tr": "ğışç", "az": "əğış", "sq": "ëç",
    "lt": "ėįųąęčšž", "lv": "āēīūģķļņ", "is": "ðþæ", "it": "èòùì", "uk": "іїєґ", "ru": "ыэё", "be": "ўі", "bg": "ъ", "sr": "ђћљњџј", "mk": "ѓќѕљњџј", "kk": "әғқңөұүі",
    "fa": "پچژگکی", "ur": "ٹڈڑںےہھ", "ar": "ةأإىي", "nl": "ĳ",
}


def main():
    codes = list(WORDS)
    words, letters = {}, {}
    for i, code in enumerate(codes):
        for word in WORDS[code].split():
            key = word.encode()
            if len(key) <= 8:
                words[key] = words.get(key, 0) | 1 << i
        for letter in LETTERS.get(code, ""):
            letters[ord(letter)] = letters.get(ord(letter), 0) | 1 << i
    print("/* language_table.c - generated by tools/make_languages.py; do not edit. Words as bytes, the first in the highest, with a\n"
          " * bit for each language that has them; letters likewise. Both sorted. */")
    print('#include "clean_internal.h"\n')
    print("const char *const language_codes[LANGUAGE_COUNT] = { " + ", ".join(f'"{c}"' for c in codes) + " };\n")
    print("const uint8_t language_scripts[LANGUAGE_COUNT] = { " + ", ".join(str(SCRIPTS.index(SCRIPT_OF.get(c, "Latn"))) for c in codes) + " };\n")
    print(f"_Static_assert(LANGUAGE_COUNT == {len(codes)}, \"as many as the generator knows\");\n")
    for name, table in (("words", {int.from_bytes(k.ljust(8, b"\0"), "big"): v for k, v in words.items()}), ("letters", letters)):
        rows = [f"{{ 0x{k:X}, 0x{v:X} }}" for k, v in sorted(table.items())]
        print(f"const struct language_mark language_{name}[] = {{")
        for i in range(0, len(rows), 5):
            print("    " + ", ".join(rows[i:i + 5]) + ",")
        print("};")
        print(f"const size_t language_n_{name} = sizeof language_{name} / sizeof language_{name}[0];\n" if name == "words" else f"const size_t language_n_{name} = sizeof language_{name} / sizeof language_{name}[0];")


main()
